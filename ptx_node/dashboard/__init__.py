"""What people see: pages and an HTTP API over the rows. Each page is one module with a router and a template, listed in `pages`."""
