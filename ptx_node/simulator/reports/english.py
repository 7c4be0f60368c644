"""How a radiologist words a chest CT in English: sentences as grammars, none of them taken from a real report.

`<side>`, `<other>` (the other side), `<size>`, `<measure>` and `<place>` are facts that the writer fills in.
"""

from __future__ import annotations

from ptx_node.simulator.patient import Size

SIDES = {"right": "right", "left": "left"}

SIZES: dict[Size, tuple[str, ...]] = {
    Size.OCCULT: ("tiny", "trace", "minimal", "very small", "minute", "thin", "barely visible", "sliver-like"),
    Size.SMALL: ("small", "small", "minor", "mild", "small-volume", "shallow", "limited"),
    Size.MEDIUM: ("moderate", "moderate-sized", "medium-sized", "moderately sized", "small to moderate"),
    Size.LARGE: ("large", "large", "sizeable", "large-volume", "extensive", "moderate to large"),
    Size.TENSION: ("large", "massive", "very large", "complete", "near-complete"),
}
PLACES: dict[Size, tuple[str, ...]] = {
    Size.OCCULT: ("anterior", "apical", "anteromedial", "anterobasal", ""),
    Size.SMALL: ("anterior", "apical", "anterior basal", "apicoanterior", "anteromedial", ""),
    Size.MEDIUM: ("anterior", "apical and anterior", "anterolateral", "", ""),
    Size.LARGE: ("anterior", "anterolateral", "", "", ""),
    Size.TENSION: ("", "", ""),
}

RULES: dict[str, str | tuple[str, ...]] = {
    "ptx": ("pneumothorax", "pneumothorax", "pneumothorax", "pneumothorax", "PTX", "ptx"),
    "seen": ("is seen", "is present", "is noted", "is identified", "is demonstrated", "is visible", "is again seen"),
    "nowhere": ("", "", "", "", " on either side", " on this examination", " at present", " in either hemithorax", " today"),
    "shows": ("There is", "There is", "We see", "Note is made of", "Presence of", "Demonstration of"),
    "of_mm": "[, [measuring|measured at] [up to|about|approximately|] <measure> [in [depth|thickness|maximal depth]|from the chest wall]"
    "| ([max.|maximum|] [depth|thickness|width] [of|] <measure>)|, [up to |]<measure> [deep|thick|wide]|]",
}

POSITIVE = (
    "<shows> a <size> <side>[-sided|] <place> <ptx><of_mm>",
    "[A|] <size> <side> <place> <ptx> <seen><of_mm>",
    "<size> <side>[-sided|] <place> <ptx><of_mm>",
    "<side>[-sided|] <place> <ptx>, <size><of_mm>",
    "[[In|Within] the <side> [hemithorax|pleural space]|On the <side> side] there is a <size> <place> <ptx><of_mm>",
    "Air [is present|collects|has collected] in the <side> pleural space, in keeping with a <size> <ptx><of_mm>",
    "Findings [consistent|compatible|in keeping] with a <size> <side> <ptx><of_mm>",
    "<size> <side> <ptx> with [partial|subtotal|some degree of] [collapse|atelectasis] of the underlying lung<of_mm>",
    "The <side> lung [is separated from|has come away from|does not reach] the chest wall by a <size> <ptx><of_mm>",
    "[Persistent|Residual|Unresolved|Ongoing] <size> <side> <place> <ptx><of_mm>",
    "[Newly apparent|New|Interval development of a] <size> <side> <place> <ptx><of_mm>",
    "No [significant|relevant|appreciable] change in the [size|extent] of the [known|] <size> <side> <ptx><of_mm>",
    "The [known|previously described] <side> <ptx> is [unchanged|stable|essentially unchanged|slightly smaller|slightly larger]<of_mm>",
    "The <side> <ptx> [persists|has not resolved|has not fully resolved|remains visible][, <size>|, <size> in volume|]<of_mm>",
    "[Confirmation of|This examination confirms] a <size> <side> <ptx><of_mm>",
    "Pleural air on the <side>, <size> in amount, [i.e. a <ptx>|representing a <ptx>]<of_mm>",
    "The radiographically suspected <side> <ptx> is confirmed[, <size>|]<of_mm>",
    "<size> <ptx> on the <side>[, mainly [anterior|apical|basal]|]<of_mm>",
    "[A|] [free-flowing|non-loculated|] <size> <ptx> [occupies|extends along] the [anterior|non-dependent] <side> pleural space<of_mm>",
)
POSITIVE_OCCULT = (
    "[Tiny|Small] pocket of air along the [anterior|medial|diaphragmatic] <side> pleura, a [minimal|trace] <ptx><of_mm>",
    "Trace <side> <ptx>, [not|hardly] visible on the radiograph [of the same day|of today|]",
    "[Small|Few] [locules|bubbles] of <side> pleural air, [consistent|in keeping] with a [tiny|trace] <ptx>",
)
POSITIVE_TENSION = (
    (
        "[Massive|Very large|Large] <side> <ptx> with [shift|displacement] of the mediastinum to the <other> and [flattening|inversion] of"
        " the [<side> |]hemidiaphragm"
    ),
    "<side> tension <ptx>, the lung [being|is] collapsed [against|to] the hilum",
    "Complete collapse of the <side> lung by a [large|massive] <ptx>, [suspicious for|with signs of] tension",
)
POSITIVE_DRAINED = (
    "[Residual|Persistent] <size> <side> <ptx> [despite|with] the chest [tube|drain] [in situ|in place]<of_mm>",
    "<size> <side> <ptx> [remains|persists] after [tube placement|drainage|insertion of the drain]<of_mm>",
    "[Well placed|Correctly sited|] <side> [intercostal drain|pigtail catheter|chest drain]; [a |]<size> <ptx> [remains|is still present]",
)
POSITIVE_FLUID = (
    "<size> <side> hydropneumothorax[ with an air-fluid level|]<of_mm>",
    "Air-fluid level in the <side> pleural space, [that is|representing] a hydropneumothorax",
    "[Combination of|Both] <side> pleural fluid and air, with a <size> [pneumothorax|pneumothorax component]<of_mm>",
)
POSITIVE_BOTH = (
    "Bilateral pneumothoraces, [larger|more marked] on the <larger>[, up to <measure>|]",
    "[There are|] bilateral [pneumothoraces|PTX][, <size> on the <larger>|]",
    "<ptx> on both sides, [predominantly|mainly|larger] <larger>[, measuring up to <measure> there|]",
)
POSITIVE_SHORT = (
    "<size> <side> <place> <ptx>",
    "<size> <side> <ptx>[ (<measure>)|, <measure>|]",
    "<side>[-sided|] <ptx>, <size>",
    "[Confirmed|Acute|] <size> <side> <ptx>",
    "[Unchanged|Persistent|Stable|Residual] <size> <side> <ptx>",
    "<side> <ptx> as [described|above|detailed above]",
    "CT confirms [the|a] <side> <ptx>[ suspected on the radiograph|]",
    "Positive for <side> <ptx>[, <size>|]",
)
POSITIVE_BOTH_SHORT = ("Bilateral [pneumothoraces|<ptx>], [larger|greater] on the <larger>", "<ptx> on both sides")

REST_OTHER = ("No <other>[-sided|] <ptx>", "No <ptx> on the <other>", "No contralateral <ptx>")
REST_MILD = ("No [sign|evidence|CT feature|indication] of tension", "No [significant|] mediastinal shift", "No tension <ptx>")
REST_COLLAPSED = (
    "The underlying <side> lung is [partly|partially] [collapsed|atelectatic]",
    "[Partial|Passive] atelectasis of the <side> lung",
)


NEGATIVE_CLEAN = (
    "No pleural effusion or <ptx><nowhere>",
    "No <ptx> or [pleural |]effusion",
    "No [evidence|sign|signs|CT evidence] of <ptx> or pleural effusion",
    "There is [no|neither] pleural [effusion, thickening or|fluid, and no|thickening, effusion or] <ptx><nowhere>",
    "The pleural spaces are [clear|dry and free of air], without effusion or <ptx><nowhere>",
    "[Neither|There is neither] [effusion|pleural fluid] nor <ptx><nowhere>",
    "No effusion/<ptx><nowhere>",
    "Pleura: no effusion, [no thickening, |]no <ptx><nowhere>",
)
NEGATIVE_CLEAR = (
    "No consolidation, [pleural |]effusion[,|] or <ptx><nowhere>",
    "Lungs [and pleural spaces |]are clear of consolidation, effusion and <ptx><nowhere>",
    "No [nodule, |]consolidation, <ptx> or effusion",
    "Clear lungs, no [effusion|pleural fluid], no <ptx><nowhere>",
)
NEGATIVE_FOLD = (
    "The radiographic [line|lucency|suspicion] [corresponds to|is explained by|is due to] a skin fold; no <ptx>",
    "[Radiographic finding|Line on the radiograph] due to a skin fold, [not a|no] <ptx>",
)
NEGATIVE = (
    "No <ptx><nowhere>",
    "No <ptx> [is |][seen|identified|demonstrated|visualised|visualized|detected]",
    "There is no <ptx>[ on either side|]",
    "No [evidence|sign|signs|CT evidence|suggestion|finding] of [a |][right or left |]<ptx><nowhere>",
    "<ptx> [is|can be] [excluded|ruled out]",
    "[Negative|CT negative] for <ptx><nowhere>",
    "No [right or left|left or right]-sided <ptx><nowhere>",
    "Both lungs are [fully|completely|well] expanded[,|] without <ptx><nowhere>",
    "No [free |]pleural air; [specifically|in particular], no <ptx><nowhere>",
    "Absence of <ptx>[ on either side|]",
    "No [anterior|apical|occult|loculated|post-procedural|traumatic] <ptx><nowhere>",
    "Without [evidence of |]<ptx><nowhere>",
    "<ptx>: [no|none|absent]",
    "No pneumomediastinum[,| or] <ptx>[ or pneumoperitoneum|]",
    "The suspected <ptx> is not confirmed",
)
NEGATIVE_BULLA = (
    "The [lucency|thin-walled air space] in the <bulla> [upper zone|apex|lung] is a bulla[, not a|; no] <ptx>",
    "[Bullous change|Bulla] [mimicking|simulating] a <ptx>, [but there is no|without true] <ptx>",
)
NEGATIVE_TUBE = (
    "No <ptx> [with|after placement of] the [drain|chest tube][ in place|]",
    "<tube> chest [tube|drain] in [satisfactory|good|expected] position, [no|without] <ptx>",
)
NEGATIVE_SHORT = (
    "No <ptx><nowhere>",
    "No [evidence|sign] of <ptx><nowhere>",
    "No acute [abnormality|finding], [in particular no|and no|no] <ptx><nowhere>",
    "<ptx> [excluded|ruled out]",
    "No CT correlate for the suspected <ptx><nowhere>",
    "No [traumatic|iatrogenic|acute] <ptx><nowhere>",
    "Suspicion of <ptx> not confirmed",
)

UNCERTAIN = (
    "[A|] [tiny|trace|small|minimal] <side> <place> <ptx> cannot be [excluded|ruled out][ entirely| completely| with certainty|]",
    "[Possible|Questionable|Equivocal|Suspected] [tiny|trace|small|minimal] <side> <place> <ptx>",
    "Thin <side> [anterior|apical] [lucency|band of air], which [may|might|could] represent a [tiny|small|minimal] <ptx>",
    "[Subtle|Doubtful|Faint] <side> pleural air: [tiny|minimal|trace] <ptx>[ is|] [possible|not excluded|questioned]",
    "It is [unclear|uncertain|difficult to say] whether there is a [tiny|minimal] <side> <ptx>[ owing to breathing artefact|]",
    "[Cannot|Unable to] exclude a [tiny|minimal|small] <side> <ptx>[ because of motion|]",
    "[Tiny|Thin] <side> [subpleural|anterior] air, [bulla|bleb] versus [tiny |small |]<ptx>",
    "? [tiny|small] <side> [apical|anterior] <ptx>",
    "[Motion|Respiratory motion] [limits|degrades] the [assessment|evaluation]; a [small|tiny] <side> <ptx> is not excluded",
    "Findings [could|may] [reflect|indicate] a [minimal|tiny] <side> <ptx>[, follow-up advised|]",
)
UNCERTAIN_SHORT = (
    "Possible [tiny|small|minimal] <side> <ptx>",
    "[Tiny|Trace] <side> <ptx> not excluded",
    "[Questionable|Equivocal] <side> <ptx>; [follow-up radiograph|repeat imaging|clinical correlation] [advised|suggested|recommended]",
    "<side> bleb versus [tiny|minimal] <ptx>",
)

RESOLVED = (
    "[The|] previously [seen|described|noted] <side> <ptx> has [resolved|completely resolved|cleared|disappeared]",
    "[Complete|Interval|Full] resolution of the <side> <ptx>",
    "The <side> <ptx> [is no longer|no longer] [visible|seen|present|identified]",
    "[Known|Previous] <side> <ptx>, [now|since] [fully|completely|] resolved[ with re-expansion of the lung|]",
    "The <side> lung has [fully |completely |]re-expanded, with resolution of the <ptx>",
    "The <side> <ptx> seen [on the previous examination|previously|on the prior radiograph|earlier] has [gone|resolved|been absorbed]",
    "[Status post|S/p|State after] [drainage|aspiration|treatment] of a <side> <ptx>, with [full|complete] re-expansion of the lung",
    "[No longer any sign|No persistence] of the [earlier|previous|known] <side> <ptx>",
    "[Prior|Former] <side> <ptx>: [resolved|complete resolution]",
    "Resolved <side> <ptx>",
)
RESOLVED_SHORT = (
    "[Resolved|Interval resolution of] <side> <ptx>",
    "[Previous|Known] <side> <ptx> has resolved",
    "[Complete|Full] re-expansion of the <side> lung, <ptx> resolved",
)

TITLES = ("CT CHEST", "CT thorax", "Chest CT", "CT of the chest [without|with] contrast", "COMPUTED TOMOGRAPHY OF THE CHEST", "HRCT chest")
INDICATION = (
    "[Chest pain|Shortness of breath|Dyspnoea|Dyspnea|Hypoxia|Desaturation|Cough|Fever|Haemoptysis|Weight loss]",
    "[Trauma|Fall from height|Road traffic collision|Blunt chest trauma|Rib fractures]",
    "[Follow-up|Staging|Preoperative work-up|Pre-operative assessment|Surveillance]",
    "[After|Status post] [central line placement|lung biopsy|thoracic surgery|chest tube removal|pacemaker insertion]",
    "<age>-year-old [patient|<person>] with [acute|] [chest pain|dyspnoea|shortness of breath|cough]",
)
INDICATION_ASKED = (
    "?<ptx>",
    "? <ptx>",
    "Rule out <ptx>",
    "Suspected <ptx>[ on the radiograph| on CXR|]",
    "[Dyspnoea|Chest pain|Desaturation], <ptx>?",
    "[Trauma|Fall|RTC], [query|r/o|?] <ptx>",
    "Abnormal radiograph[ this morning|], question of [right |left |]<ptx>",
    "Post [biopsy|procedure], exclude <ptx>",
    "[Possible|Query] <ptx> on [bedside|portable|this morning's] [radiograph|film|CXR]",
)
INDICATION_KNOWN = (
    "[Follow-up|Control] of [known |a |][<side> |]<ptx>",
    "[Known|Drained] <side> <ptx>[, progress?|]",
    "<side> <ptx>, [drain in situ|before drain removal|extent?]",
    "[History|H/o] of [spontaneous |]<ptx>",
)
TECHNIQUE = (
    (
        "[Helical|Multidetector|Spiral|Volumetric|Thin-section] CT of the chest [without|without intravenous|after intravenous] contrast"
        "[ medium|], [1|1.25|1.5|2|2.5|3|5] mm [slices|sections|reconstructions]"
    ),
    (
        "Axial [images|sections|acquisition] from the [lung apices|thoracic inlet|root of the neck] to the [bases|upper abdomen|adrenals]"
        "[, lung and soft tissue reconstructions|, lung and mediastinal windows|]"
    ),
    "[Low-dose|Unenhanced|Non-contrast|Standard] chest CT[, multiplanar reformats|, supine, full inspiration|, supine]",
)
COMPARISON = (
    "None[ available|]",
    "No [prior|previous] [examination|study|imaging] [available|for comparison]",
    "[Chest radiograph|CXR|Radiograph] of [today|the same day|this morning]",
    "[CT|Chest CT|Radiograph] of <date>",
)
COMPARISON_TELLS = (
    "[Radiograph|CXR] of [today|the same day][, which raised the question of| with possible| (query)] <ptx>",
    "CT of <date>, [which showed|with] a [small |moderate |][right|left] <ptx>",
)

NO_EFFUSION = ("No pleural [effusion|fluid|thickening]", "No [haemothorax|hemothorax]", "No effusion[ on either side|]")
LUNGS_CLEAR = (
    "[The lungs are|Lungs] [clear|well aerated|normally ventilated]",
    "No [focal |]consolidation[ or mass| or nodule| or ground-glass opacity|]",
    "[No pneumonia|No airspace disease|No infiltrate]",
)
LUNGS = (
    "[Mild|Minor|Dependent|Bibasal] [atelectasis|subsegmental atelectasis|dependent change] at the [bases|lung bases|posterior bases]",
    "[A|] [2|3|4|5|6] mm [solid |calcified |] nodule in the [right upper|right lower|left upper|left lower|middle] lobe[, nonspecific|]",
    "[Mild|Moderate] [centrilobular|paraseptal] emphysema[ of the upper lobes|]",
    "No suspicious [nodule|pulmonary nodule|mass]",
)
CONSOLIDATION = (
    (
        "[Consolidation|Airspace opacity|Patchy consolidation] [in|of] the <consolidation> <lobe> lobe[, with air bronchograms|"
        ", likely pneumonia|, suspicious for infection|]"
    ),
    "<consolidation> <lobe> lobe [pneumonia|consolidation|infiltrate]",
)
EFFUSION = (
    "[Small|Moderate|Layering|Free] <effusion> pleural effusion[, about <fluid> mm deep|]",
    "<effusion> pleural [effusion|fluid][, layering posteriorly| with adjacent atelectasis|]",
)
EFFUSION_BOTH = ("[Small|Moderate] bilateral [pleural |]effusions", "Bilateral layering pleural fluid")
BULLA = (
    "[Large|Thin-walled|Subpleural|Apical] bulla in the <bulla> [lung|apex|upper lobe]",
    "[Bullous emphysema|Bullous change], [predominantly|mainly] <bulla>",
)
TUBE = (
    (
        "<tube> [chest tube|chest drain|intercostal drain|pleural drain|thoracostomy tube|pigtail drain] [in situ|in place|with its tip"
        " [at the apex|anteriorly|posteriorly|in the fissure]]"
    ),
    "[A|] <tube> [chest drain|chest tube|ICD] is [seen|noted|in place][, tip [apical|anterior|directed to the apex]|]",
)
SUBCUTANEOUS = (
    "[Subcutaneous|Soft tissue|Surgical] emphysema [of|in|along] the [chest wall|<emphysema> chest wall|<emphysema> lateral chest wall]",
    "[Air|Gas] in the soft tissues of the <emphysema> chest wall",
)
DEVICES = {
    "line": (
        "[Central venous|Jugular|Subclavian] [line|catheter] with its tip in the [SVC|superior vena cava|lower SVC]",
        "[CVC|Central line] tip at the cavoatrial junction",
    ),
    "tracheal_tube": ("[Endotracheal|ET] tube [in situ|<above> cm above the carina|in satisfactory position]", "Intubated patient"),
    "gastric_tube": ("[Nasogastric|NG|Gastric] tube [in the stomach|with its tip below the diaphragm|in situ]",),
    "pacemaker": ("[Pacemaker|Cardiac device|ICD generator] with [lead tips|leads] in the right [heart|atrium and ventricle|ventricle]",),
}
MEDIASTINUM = (
    "[No|No enlarged] [mediastinal or hilar|hilar or mediastinal|mediastinal] [lymphadenopathy|lymph nodes|adenopathy]",
    "[Heart size|Cardiac size] [is |][normal|within normal limits|not enlarged]",
    "No pericardial effusion",
    "No pneumomediastinum",
    "[Thoracic aorta|Great vessels|Aorta] of normal [calibre|caliber|size][, mild calcification|]",
    "[Patent central airways|Central airways are patent|Trachea and main bronchi are patent]",
    "[Mild|Moderate|Severe] coronary [artery |]calcification",
)
BONES = (
    "No [acute |][rib |]fracture",
    "[Degenerative changes|Mild degenerative change] of the [thoracic |]spine",
    "No [aggressive|suspicious|lytic] [bone|osseous] lesion",
    "[Old|Healed] [rib fracture|rib fractures][ on the right| on the left|]",
    "[Limited views of the |The imaged |]upper abdomen [is |are |][unremarkable|without acute finding]",
    "No free air under the diaphragm",
)
IMPRESSION_PLAIN = (
    "No acute [cardiopulmonary |thoracic |][abnormality|finding|process]",
    "[Normal|Unremarkable] [chest CT|CT of the chest|examination]",
    "No [significant|relevant] [abnormality|pathology] [of the lungs|of the chest]",
)
CLOSING = (
    "[Findings|Results|The findings] [were |][discussed with|communicated to|phoned to] the [ward|referring team|clinical team]",
    "[Preliminary|Provisional] read, to be [confirmed|verified]",
    "SIMULATED report",
    "[Read|Reported] and signed electronically",
)

HEADINGS = {
    "indication": ("INDICATION", "CLINICAL INFORMATION", "CLINICAL HISTORY", "HISTORY", "REASON FOR EXAM", "CLINICAL DETAILS"),
    "technique": ("TECHNIQUE", "PROCEDURE", "EXAMINATION", "PROTOCOL"),
    "comparison": ("COMPARISON", "PRIOR STUDIES", "COMPARISON STUDIES"),
    "findings": ("FINDINGS", "REPORT", "DESCRIPTION", "RESULT"),
    "impression": ("IMPRESSION", "CONCLUSION", "OPINION", "SUMMARY"),
}
TOPICS = {
    "pleura": ("Pleura", "Pleural spaces"),
    "lungs": ("Lungs", "Lungs and airways"),
    "middle": ("Mediastinum", "Heart and mediastinum"),
    "wall": ("Bones and soft tissues", "Chest wall", "Other"),
    "devices": ("Lines and tubes", "Devices"),
}
LOBES = {"upper": "upper", "middle": "middle", "lower": "lower"}
BOTH = "bilateral"
ABBREVIATIONS = ((" without ", " w/o "), (" with ", " w/ "), ("pneumothorax", "PTX"), ("right", "R"), ("left", "L"), ("evidence of", "e/o"))
