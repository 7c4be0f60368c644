"""The page that a person reads: `report.html`, made from `metrics.json` and the figures beside it; it loads nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import Environment

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
 color: #1c1f24; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #d5d9df; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem .22rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #eceef1; }
th { font-weight: 600; } td.n { text-align: right; } .quiet { color: #6b7280; font-size: .9em; }
.warn { background: #fff3cd; padding: .6rem .9rem; border-radius: .3rem; }
.yes { color: #1b7f46; } .no { color: #b3261e; font-weight: 600; }
tr.ours td { background: #eef5ff; } tr.small td { color: #6b7280; }
figure { margin: 1rem 1rem 0 0; display: inline-block; vertical-align: top; } figure img { width: 33rem; max-width: 100%; }
figcaption { font-size: .85em; color: #6b7280; }
</style></head><body>
<h1>{{ title }}</h1>
{% if simulated == "all" %}<p class="warn"><b>SIMULATED.</b> Every case is a simulated patient. The figures say nothing about persons.</p>
{% elif simulated == "some" %}<p class="warn"><b>Partly SIMULATED.</b> Some cases are simulated patients.</p>{% endif %}
<table>
<tr><td>Model</td><td>{{ about.name }} {{ about.version }}, reads {{ about.reads }} at {{ about.input_size }}&sup2; pixels,
 weights {{ about.weights_sha256[:12] }}</td></tr>
<tr><td>Cases</td><td>{{ about.data|join("; ") }}</td></tr>
<tr><td>Trained on</td><td>{{ about.trained_sites|join(", ") or "not stated" }}{% if about.split %}; split {{ about.split.name }}
 ({{ about.split.digest[:12] }}){% endif %}</td></tr>
<tr><td>Rule</td><td>{% for name, value in about.decision.items() %}{{ name.replace("_", " ") }} {{ value }}{{ ", " if not loop.last }}
{%- endfor %}</td></tr>
<tr><td>Program</td><td>revision {{ software.revision[:12] }}, torch {{ software.torch }}, monai {{ software.monai }}</td></tr>
<tr><td>Command</td><td><code>{{ about.command }}</code></td></tr>
</table>

<h2>Must reach</h2>
<table><tr><th>what</th><th>cases</th><th>found</th><th>asked</th><th></th></tr>
{% for one in must_reach %}<tr><td>{{ one.what }}</td><td class="n">{{ one.cases }}</td><td class="n">{{ one.value|number }}</td>
<td class="n">{{ "≤" if one.at_most else "≥" }} {{ one.limit }}</td>
<td class="{{ 'yes' if one.verdict == 'reached' else 'no' if one.verdict == 'NOT reached' else 'quiet' }}">{{ one.verdict }}</td></tr>
{% endfor %}</table>

{% for name, one in figures.items() %}
<h2>{{ "All cases" if name == "all" else name|capitalize }}</h2>
<p>{{ one.cases }} cases of {{ one.patients }} patients, {{ one.positives }} with and {{ one.negatives }} without pneumothorax
{%- if one.uncertain_left_out %}; {{ one.uncertain_left_out }} of uncertain truth left out{% endif %}.</p>
<table><tr><th></th><th>value</th><th>95 % interval</th><th>of</th><th class="quiet">interval by</th></tr>
{% for label, figure in one|lines %}<tr><td>{{ label }}</td><td class="n">{{ figure.value|number }}</td>
<td>{{ figure|interval }}</td><td class="n">{{ figure|of }}</td><td class="quiet">{{ figure.interval }}</td></tr>
{% endfor %}
<tr><td>Brier score</td><td class="n">{{ one.calibration.brier|number }}</td><td></td><td></td><td></td></tr>
<tr><td>Expected calibration error</td><td class="n">{{ one.calibration.expected_calibration_error|number }}</td>
<td></td><td></td><td></td></tr>
<tr><td>Calibration intercept; slope</td><td class="n">{{ one.calibration.intercept|number }}; {{ one.calibration.slope|number }}</td>
<td></td><td></td><td></td></tr>
</table>
<p class="quiet">{% set c = one.rule.confusion %}Under the rule: {{ c.true_positive }} true and {{ c.false_positive }} false positives,
{{ c.true_negative }} true and {{ c.false_negative }} false negatives.
{% if one.masks %}An answer that is always empty would have a mean Dice of {{ one.masks.all_empty_would_score|number }}.{% endif %}</p>
{% endfor %}

<h2>Figures</h2>
{% for caption, file in pictures.items() %}<figure><img src="{{ file }}" alt="{{ caption }}"><figcaption>{{ caption }}</figcaption></figure>
{% endfor %}

<h2>By subgroup</h2>
<p class="quiet">Grey: under 20 with or without pneumothorax; such a cell says little. By size: those of the size against all without.</p>
{% for what, cells in subgroups.items() %}
<table><tr><th>{{ what }}</th><th>with / without</th><th>AUC</th><th>sensitivity</th><th>specificity</th>
<th>{{ "volume error, median" if about.reads == "ct" else "Dice of positives" }}</th></tr>
{% for name, cell in cells.items() %}<tr class="{{ 'small' if cell.small }}"><td>{{ name }}</td>
<td>{{ cell.positives }} / {{ cell.negatives }}</td>
{% set last = cell.median_volume_error if about.reads == "ct" else cell.dice_of_positives %}
{% for figure in (cell.auc, cell.sensitivity, cell.specificity, last) %}
<td>{% if figure %}{{ figure.value|number }} <span class="quiet">{{ figure|interval }}</span>{% endif %}</td>{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}

<h2>Beside what was published</h2>
<p class="quiet">Other patients, other images: to read, not to compete.</p>
{% for table in published %}
<h3>{{ table.title }}</h3>
<table><tr><th></th>{% for column in table.columns %}<th>{{ column }}</th>{% endfor %}</tr>
{% for name, values in table.rows.items() %}<tr class="{{ 'ours' if name.startswith('ours') }}"><td>{{ name }}</td>
{% for value in values %}<td class="n">{{ value|number }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% if table.note %}<p class="quiet">{{ table.note }}</p>{% endif %}
{% endfor %}

<h2>Examples</h2>
<p class="quiet">Green line: true mask. Red: the answer's. Wrong ones from the worst on, right ones from the surest to the least sure.</p>
{% for caption, file in examples.items() %}<h3>{{ caption }}</h3><img src="{{ file }}" alt="{{ caption }}" style="max-width:100%">
{% endfor %}
<p class="quiet">Every case: cases.csv. Every figure: metrics.json.</p>
</body></html>
"""

LINES = (
    ("AUC", ("discrimination", "auc")),
    ("Sensitivity at specificity 0.90", ("discrimination", "sensitivity_at_specificity", "0.90")),
    ("Sensitivity at specificity 0.95", ("discrimination", "sensitivity_at_specificity", "0.95")),
    ("Sensitivity at specificity 0.99", ("discrimination", "sensitivity_at_specificity", "0.99")),
    ("Specificity at sensitivity 0.90", ("discrimination", "specificity_at_sensitivity", "0.90")),
    ("Specificity at sensitivity 0.95", ("discrimination", "specificity_at_sensitivity", "0.95")),
    ("Sensitivity of the rule", ("rule", "sensitivity")),
    ("Specificity of the rule", ("rule", "specificity")),
    ("Accuracy of the rule", ("rule", "accuracy")),
    ("Precision of the rule", ("rule", "precision")),
    ("Right side, of those located", ("rule", "side_right_of_located")),
    ("Dice, mean with the empty rule", ("masks", "dice_mean_with_empty_rule")),
    ("Dice of positives (missed: 0)", ("masks", "dice_of_positives")),
    ("Dice of positives, mask alone", ("masks", "dice_of_positives_mask_alone")),
    ("Dice of positives that were called", ("masks", "dice_of_called_positives")),
    ("IoU of positives", ("masks", "iou_of_positives")),
    ("Mask drawn where there is none", ("masks", "mask_drawn_on_empties")),
    ("Mask alone drawn where there is none", ("masks", "mask_alone_drawn_on_empties")),
    ("CT: Dice on slices with air", ("volume", "dice_on_slices_with_air")),
    ("CT: volume error, median", ("volume", "median_volume_error")),
    ("CT: signed volume error, median, ml", ("volume", "median_signed_volume_error_ml")),
    ("CT: share of the hemithorax, median error, points", ("volume", "median_share_error_points")),
)
"""What the page and the model card list, and where it stands in the JSON."""


def lines(figures: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(label, figure) of each of `LINES` that these figures have."""
    found = []
    for label, path in LINES:
        place: Any = figures
        for name in path:
            place = place.get(name) if place else None
        if place:
            found.append((label, place))
    return found


def number(value: float | None) -> str:
    """Counts whole, shares with three decimals, `-` for what is not known."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def interval(figure: Mapping[str, Any]) -> str:
    """`low to high`; empty where there is none."""
    low, high = figure.get("low"), figure.get("high")
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def of(figure: Mapping[str, Any]) -> str:
    """What it was counted from: `hits / count` of a share, else the cases."""
    hits = figure.get("hits")
    return f"{figure['count']}" if hits is None else f"{hits} / {figure['count']}"


def title_of(content: Mapping[str, Any]) -> str:
    """Says SIMULATED first where the cases are."""
    about = content["about"]
    said = {"all": "SIMULATED patients: ", "some": "partly SIMULATED patients: ", "none": ""}[content["simulated"]]
    return f"{said}evaluation of {about['name']} {about['version']}, {about['part']}"


def page(content: Mapping[str, Any], pictures: Mapping[str, str], examples: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        content: of `metrics.json`.
        pictures: caption to file name, of figures.
        examples: the same of example panels.
    """
    environment = Environment(autoescape=True, trim_blocks=True)
    environment.filters |= {"number": number, "interval": interval, "of": of, "lines": lines}
    template = environment.from_string(TEMPLATE)
    return template.render(**content, title=title_of(content), pictures=pictures, examples=examples)
