"""The data flow, one stage a file: receive, store, enqueue, infer, results, deliver."""
