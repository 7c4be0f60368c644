"""Words by which procedures name the region, in English and French: patterns on folded text, whole words.

What is in neither list, such as "CT", "aorta" or "follow-up", tells nothing.
"""

from __future__ import annotations

PART = (
    r"(?:lung|pulmonary) bases?|bases? (?:of the lungs?|pulmonaires?|des poumons)",
    r"thoraco[- ]?(?:lumbar|lumbo\w*|lombaires?)|dorso[- ]?lombaires?",
)
"""Named like the thorax, and only a part of it: set aside before anything is looked for."""
THORAX = (
    r"chest|thora\w*|\w+-?thora\w*|lungs?|pulmon\w*|poumons?|pleur\w*|plevres?|mediastin\w*|ribs?|sternum|sternal|cotes|costal\w*|trache\w*",
    r"bronch\w*|cardiac|heart|coronar\w*|coeur|coro-?scanner|dorsal",
    r"cap|tap|ctpa|hrct|c/a/p|ap ?\+ ?c|ctap|cta? pe|embolism|embolie",
    r"(?:whole|total)[- ]?body|body[- ]?(?:ct|scan\w*)|corps entier|pan-?scan\w*|poly-?trauma\w*|pet|tep",
)
ELSEWHERE = (
    r"head|brain|skull|cerebr\w*|crane|cranien\w*|crani\w*|encephal\w*|intracran\w*|sinus\w*|orbit\w*|face|facial\w*|maxill\w*|dental",
    r"mandib\w*|massif|temporal|rochers?|petrous|pituitary|hypophys\w*|stroke|avc",
    r"neck|cou|cervic\w*|larynx|thyroid\w*|carotid\w*|tsa|troncs? supra-?aortiques?",
    r"abdom\w*|pelvi\w*|liver|hepat\w*|foie|kidneys?|renal|reins?|renale?s?|uro\w*|kub|pancrea\w*|spleen|rate|colon\w*|colo-?scanner|entero\w*",
    r"bowel|appendi\w*|bladder|vessie|prostat\w*|uter\w*|obstetric\w*|adrenals?|surrenal\w*",
    r"spine|spinal|rachis|lumbar|lombaires?|lumbo\w*|lombo\w*|sacr\w*|coccyx",
    r"knees?|hips?|ankles?|foot|feet|wrists?|hands?|elbows?|shoulders?|femur|femoral|tibia\w*|legs?|arms?|fingers?|toes?|extremit\w*|limbs?",
    r"genoux?|hanches?|bassin|chevilles?|pieds?|poignets?|mains?|coudes?|epaules?|membres?|jambes?|doigts?|arthro-?scanner",
    r"breasts?|mammo\w*|seins?|mammaires?|scrot\w*|dacryo\w*",
)
MODALITIES = ("MG", "IO", "PX", "OPT", "OCT", "OP", "BMD", "DXA")
"""DICOM modalities that never show the thorax."""
