"""How the figures were made, in words, and who described the methods; docs/statistics.md says the same at length."""

from __future__ import annotations


def _points(text: str) -> tuple[str, ...]:
    """Paragraphs, each as one line."""
    return tuple(" ".join(one.split()) for one in text.strip().split("\n\n"))


MEASURED = _points("""
Measured: whether the node's answer about an image is what the truth of that image says. The truth is the label of the radiology report of
a CT of the same patient and the same local day, unless a reader or a mask gave another one; the case table says which.

Not measured: whether anybody was helped; images without an answer (not eligible, failed), which stand in the flow chart; pneumothoraces
that the CT report does not name.

Patients without a CT that day have no truth. Who gets a CT depends on what was seen, so figures of the others alone lean one way; see
verification bias.

A report that leaves it open counts neither way in the main figures; see uncertain reports. A CT report of the thorax that does not name a
pneumothorax counts as without one; the figures without these are told beside it.

Some CTs were hours later than the image: a pneumothorax may have come or gone between; see the subgroups by interval.
""")
BALANCED = "The cohort was balanced by hand: predictive values and net benefit are those of no practice."
AS_THEY_CAME = "Cases are taken as they came. Where they were chosen by hand instead, predictive values and net benefit mean nothing."

METHODS = _points("""
A case is one image and one model. It counts if the model answered and the truth is known; called positive is what the node answered.

Every figure tells its n, its method, its confidence and, where it was resampled, seed and number of resamples. What the cases do not give
is told as not estimable, never as 0 or 1.

AUC: pairs in order, ties half. Its interval is DeLong's, on the logit scale, where every case is another patient's; where patients
repeat, whole patients are drawn again and the percentiles told. Where all pairs are in order the exact bound of disjoint pairs is given.

Sensitivity, specificity and predictive values: Wilson's score interval and the exact one of Clopper and Pearson; by patient where
patients repeat. Likelihood ratios: normal on the logarithm; where a needed cell is empty, one half is added to all four.

Sensitivity at a fixed specificity, and thresholds that these cases propose: chosen anew in each resample of patients. What to expect of a
proposed threshold is judged on the patients that a resample did not draw.

The band around the ROC curve: percentiles of the sensitivity at each specificity when patients are drawn again.

Calibration: bins of equal width with Wilson's intervals; slope and intercept of the logistic regression of the truth on the logit.
Decision curve: net benefit against treating all and treating none.

Uncertain reports: every main figure three times, without them, with all as positives, with all as negatives.

Verification bias: each call in each stratum gets the share of positives of its cases with a truth. This is right if, within a stratum and
a call, chance alone decided who got a CT. The limits hold whatever decided it. Cases whose report leaves it open are taken as without a
truth here.

Subgroups are shown whole or not at all: none whose cases, positives or negatives are of fewer patients than the smallest cell, none from
which such a group could be computed by subtraction. By size and by side, positives of that kind stand against all cases without a
pneumothorax.

Over time: a Bernoulli log-likelihood CUSUM. The order of the cases is the true one; their days are not told. The expected rate is what
the site promised, where it promised one, with its own limit if it stated one; else that of all these cases, so that it finds change within
them. Its limit is such that, where the rate is as expected, one such set in ten has a false alarm. For the rates of periods a case stands
for a patient.
""")
SOURCES = _points("""
AUC: Hanley and McNeil 1982; DeLong, DeLong and Clarke-Pearson 1988; Sun and Xu 2014. Clustered data: Field and Welsh 2007; Efron 1979.

Shares: Wilson 1927; Clopper and Pearson 1934; Newcombe 1998. Likelihood ratios: Simel 1991. Predictive values at a prevalence: Mercaldo
2007.

Thresholds: Youden 1950; Efron 1983. Calibration: Brier 1950; Cox 1958; Steyerberg 2010; Debray 2017; Guo 2017; Van Calster 2019.

Decision curve: Vickers and Elkin 2006. Agreement: Cohen 1960; Fleiss, Cohen and Everitt 1969.

Verification bias: Begg and Greenes 1983; Kosinski and Barnhart 2003. Over time: Page 1954; Brook and Evans 1972; Reynolds and Stoumbos
1999.

Reporting: STARD 2015 (Bossuyt 2015; Cohen 2016).
""")
