"""How radiologists write of a pneumothorax in English: patterns on folded text (lower case, no accents), in their order.

A mask leaves `~` in the text: there the report says that something is still as it was, or not yet gone.
"""

from __future__ import annotations

_SEEN = (
    r"(?:seen|identified|visuali[sz]ed|appreciated|noted|evident|apparent|visible|present|demonstrated|detected|shown|found|"
    r"confirmed|observed|"
    r"discernible|discerned|delineated|depicted|recogni[sz]ed|perceived|suggested|displayed|imaged|documented|developed|"
    r"encountered|there)"
)
_SURELY = (
    r"(?:clearly|definitely|definitively|convincingly|readily|currently|confidently|really|otherwise|now|well|clearly well|"
    r"entirely|completely|"
    r"totally|fully|absolutely|formally|reliably|certainly|100%|radiographically|obviously)"
)
_MUCH = (
    r"(?:significant(?:ly)?|substantial(?:ly)?|appreciabl[ey]|marked(?:ly)?|definite(?:ly)?|interval|relevant|acute|obvious|"
    r"major|real|further|"
    r"apparent|evident|overall|demonstrable|discernible|clear(?:ly)?|great(?:ly)?|much|measurable|dramatic(?:ally)?|large|"
    r"gross|convincing|"
    r"evidence of|sign of|signs of|clinically|radiographic(?:ally)?|short[- ]term|worrisome|noticeable|noticeably|visible|"
    r"detectable|"
    r"considerable|considerably|materially|material|meaningful|meaningfully|other|new|or|and|,)"
)
_CHANGE = (
    r"(?:changes?|differences?|increases?|decreases?|enlargement|progression|worsening|improvement|evolution|variation|growth|"
    r"expansion|reduction|alteration)"
)
_EXAM = (
    r"(?:exam\w*|stud(?:y|ies)|radiographs?|x-?rays?|films?|ct|cts|cxrs?|images?|imaging|scans?|comparison|date|view|chest|"
    r"portable|mri|pet|"
    r"reports?|yesterday|today|xxxx|_+|\d)"
)
_FOLD = (
    r"(?:skin[- ]?folds?|bullae?|bulla|blebs?|artifacts?|artefacts?|bullous|overlying|superimpos\w+|summation|mach|cysts?|"
    r"companion|clothing|sheet|scapula\w*|emphysema\w*)"
)
_PARTLY = (
    r"(?:near(?:ly)?|almost|partial(?:ly)?|incomplete(?:ly)?|subtotal(?:ly)?|substantial(?:ly)?|slow(?:ly)?|mostly|largely|"
    r"mainly|significant(?:ly)?|"
    r"gradual(?:ly)?|continued|ongoing|some|marked(?:ly)?|moderate|mild|approaching|virtually|practically)"
)
_ADVERBS = r"(?:[a-z]+ly |yet |been |now |as |so |well |even |also )"

INITIALS = "acdghilnpvw"
"""Letters with which the names, descriptions and signs of one begin: most words of a text are passed over with one look."""
TERMS = (
    r"(?<!extra)(?<!extra-)(?:intra-?)?pleural (?:space )?(?:air|gas)(?![- ]?fluid)\b(?! leak)",
    (
        r"(?:air|gas)(?: (?!effusion|fluid|fissure|leak|bronch)[a-z-]+){0,6}? (?:in|within|into|along|throughout) (?:the |both |"
        r"either )?(?:[a-z-]+ ){0,4}?pleura(?:l (?:space|cavit)\w*|\b)"
    ),
    r"air-? ?(?:and )?fluid levels?(?: [a-z-]+){0,3} (?:in|within) (?:the )?(?:[a-z-]+ ){0,3}pleural (?:space|cavity)",
    r"pneumos?\b(?![- ]?(?:thora|medias|perit|peric|nia|nit|coc|cys|ceph|bil|tosis))",
    r"gas-? ?containing pleural collection",
    r"aerothorax",
)
SIGNS = (
    r"visceral pleural (?:line|reflection|edge|margin)s?",
    r"pleural (?:line|edge|reflection|margin)s?\b(?! (?:thicken|calcif))",
    r"(?:absen(?:t|ce of)|lack of|without|no) (?:peripheral |distal |visible )?(?:lung|pulmonary|vascular|bronchovascular) markings",
    r"deep sulcus(?: sign)?",
)
MASKS = (
    (
        rf"(?:no|without|not any|little|minimal|absence of)(?: {_MUCH}){{0,4}}? {_CHANGE}(?:,? (?:or|and|"
        rf"nor) (?:{_MUCH} )?{_CHANGE})?"
        r"(?= (?:in|of|to the|with|within|regarding|involving)\b(?! (?:comparison|the interval|interval|the interim|"
        r"appearance of the chest)))"
        r"(?: (?:in|of)(?: the)? (?:size|extent|volume|degree|appearance|amount|caliber|position|configuration)(?: (?:and|"
        r"or) [a-z]+)?(?: of)?)?"
    ),
    rf"(?:no|without)(?: {_MUCH}){{0,4}}? (?:interval )?(?:resolution|clearing|re-?expansion|resorption) (?=of\b|in\b)",
    (
        rf"(?:has|have|had|is|are|was|were|been)? ?(?:not|never|n't|yet to|fails? to|failed to)(?: been)?(?: yet)?(?: {_MUCH}|"
        rf" {_SURELY}){{0,2}} "
        r"(?:chang\w+|increas\w+|decreas\w+|enlarg\w+|progress\w+|improv\w+|worsen\w+|differ\w+|larger|smaller|bigger|greater|"
        r"resolve[d]?|cleare?d?|"
        r"re-?expand\w*|evolv\w+|altered|varied|disappear\w*|gone|under tension|tension|loculated|compressive)"
    ),
    (
        rf"{_PARTLY}(?: (?:interval|complete|completely|fully|total|totally)){{0,2}}[- ](?:resol\w+|re-?expan\w+|clear(?:ed|ing|"
        r"ance)|absor\w+|resor\w+|disappear\w*|evacuat\w+)"
    ),
    (
        r"(?:near|nearly|almost|not)[- ](?:complete|completely|total|totally)(?: interval)? (?:resol\w+|re-?expan\w+|clear\w+|"
        r"absor\w+|resor\w+|disappear\w*|evacuat\w+)"
    ),
    (
        r"(?:without|w/o) (?:significant |interval |appreciable |any |"
        r"substantial )*(?:interval )?change\b(?! in the appearance of the chest)|but not (?=the )"
    ),
    r"no longer (?:under tension|tension|compressive|enlarging|increasing|expanding|growing|loculated|as (?:large|big))",
    r"un-?resolved|non-?resolv\w+|without (?:complete|full) (?:resolution|re-?expansion)",
    (
        r"(?:not|hardly|barely|poorly|scarcely|in-?visible)(?: (?:definitely|clearly|well|readily|previously|"
        rf"already))*(?: {_SEEN})?,?"
        r"(?: (?:on|in|at|by)(?: (?:the|a|an|prior|previous|earlier|recent|most|conventional|plain|initial|supine|frontal|lateral|"
        rf"chest|same-day|scout|portable|comparison|outside|last)){{1,4}} {_EXAM}\b| previously\b| before\b| earlier\b"
        r"| (?:on|in) (?:the |any )?(?:priors?|previous|earlier)\W*$)"
    ),
    rf"not previously {_SEEN}|previously (?:not|un)(?: ?{_SEEN}|recognized)",
    (
        r"no doubt|without (?:a )?doubt|not only|with or without|whether or not|not surprisingly|not dependent|non-dependent|"
        r"not to be (?:excluded|ignored)"
    ),
    (
        r"no (?:prior|previous|comparison|relevant prior)(?: [a-z]+){0,3}? (?:exam\w*|stud\w+|films?|imaging|images|radiographs?|"
        r"comparisons?|available)(?: (?:is|are) available)?(?: for comparison| available)?"
    ),
    r"previously (?:measur\w+ )?(?:up to |approximately )?(?=\d)",
)
CLAUSES = (
    r";",
    (
        r"\b(?:but|(?<!cannot )however|although|though|whereas|while|except(?: for)?|nevertheless|nonetheless|yet there|besides|"
        r"aside from|apart from|other than)\b"
    ),
)
JOINS = ("or", "nor")
NEW_PHRASE = (
    (
        r"(?:tiny|small|trace|minimal|minute|minor|mild|moderate|moderately|large|sizea?ble|massive|extensive|huge|shallow|thin|"
        r"sliver|very|subtle|faint)\b"
    ),
    (
        r"(?:persist\w+|residual|new|newly|stable|unchanged|known|possibl[ey]|probabl[ey]|likely|questionable|suspected|equivocal|"
        r"improv\w+|decreas\w+|increas\w+|enlarg\w+|worsen\w+|loculated|resolving|again)\b"
    ),
    r"(?:right|left|bilateral|biapical|r|l)\b",
    r"(?:there (?:is|are)|\d+(?:\.\d+)? ?-?(?:mm|cm|%))",
    r"(?:a|an) ",
)
BEFORE = {
    "hard": (
        (
            r"\b(?:can ?not|can't|could not|couldn't|not|unable to|difficult to|hard to|impossible to|cannot be used to|does not|"
            r"inability to|insufficient to|inadequate to|fail\w* to)"
            rf"(?: (?:be|to|{_SURELY}|entirely))* ?(?:exclude|rule ?out|rule-out|r/o|discount|differentiate|distinguish)[a-z]*"
        ),
        r"\bnot (?:\w+ ){0,2}exclude[ds]?\b",
        (
            r"\b(?:un(?:clear|certain)|difficult to say|not clear|not certain|indeterminate|inconclusive|question of whether|"
            r"hard to (?:say|tell))(?: [a-z]+){0,3}? (?:whether|if|for|as to)\b(?: there (?:is|are|was))?"
        ),
        (
            r"\b(?:obscure|mask|hide|limit\w*|preclud\w+)(?:s|ing|es)?(?: [a-z]+){0,3} (?:detection|evaluation|assessment|"
            r"exclusion) (?:of|for)\b|\b(?:obscur|mask|hid)\w* (?:a|an)\b"
        ),
    ),
    "resolved": (
        (
            r"\b(?:interval |complete |full |total |completely |fully |now |since )*(?:resolution|resorption|disappearance|"
            r"clearing|clearance) of\b"
        ),
        r"\b(?:interval |completely |fully )*resolved\b",
        (
            r"\bno longer (?:any |a |an )?(?:[a-z]+ )?(?:sign|evidence|demonstrat\w+|shows?|see|seen|visible|visuali[sz]\w+|"
            r"identif\w+|present|apparent|evident)\b"
        ),
        r"\bno longer (?:has|have|any|a|is there)\b|\b(?:no|without) (?:persistence|remnant) of\b",
        (
            r"\bno (?:sign|evidence|residual?|trace|remaining|visible) (?:of )?(?:the |a )?(?:previously|prior|previous|earlier|"
            r"formerly|known|before)\b"
        ),
        (
            r"\b(?:successful(?:ly)?|complete|full|fully|completely) (?:evacuat\w+|drain\w+|aspirat\w+|re-?expan\w+|"
            r"reexpan\w+)(?: [a-z]+){0,6}? (?:of|after|following|from|for|with)\b"
        ),
    ),
    "neg": (
        (
            r"\b(?:rather than|instead of|as opposed to|not to be (?:mistaken|confused) (?:for|with)|not be (?:mistaken|"
            r"confused) (?:for|with)|(?:distinguished|differentiated) from|mimic\w*|simulat\w+|"
            r"mistaken for|confused with|misinterpreted as|without true|not(?= (?:[a-z]+ly )?(?:a|an|any|the|due|represent\w*|"
            r"consistent|compatible|have|see|show|demonstrate|reveal|"
            r"identify|appreciate|visuali[sz]e|detect|find|suggest\w*|indicat\w*|be|true|confirm|develop\w*|suspicious|concerning|"
            r"complicated|contain|include|evident|had)\b))\b(?! only)"
        ),
        (
            r"\bno\b(?! longer| doubt)|\bnor\b|\bneither\b|\bnone\b|\bnegative (?:for|of)\b|\bnil\b|\bw/o\b|\bwithout\b|"
            r"\bdevoid of\b|\black(?:s|ing|ed)? (?:of)?\b|"
            r"\b(?:free|clear) (?:of|from)\b|\babsence of\b|\babsent\b|\bnever\b|\bdenies\b|\bnon "
        ),
        r"\b(?:excludes|excluded|excluding|rules out|ruled out|unlikely|less likely|argues? against|against)\b",
        r"\b(?:don't|doesn't|didn't|isn't|aren't|wasn't|cannot see|can't see|fails? to (?:show|demonstrate|reveal)|failed to)\b",
    ),
    "asked": (
        (
            r"\b(?:evaluat\w*|assess\w*|look(?:ing)?|search(?:ing)?|check|monitor\w*|surveillance|screen\w*|protocol|workup|"
            r"work-up|follow[- ]?(?:up|ing)?|f/u)"
            r"(?: (?:for|of|to|on|interval|progression|change|in|evaluate|assess|exclude|the|any|possible|exam|film|known|size|"
            r"stability|resolution|development))*"
        ),
        r"\b(?:please |to |and |and/or )?(?:rule[- ]?out|r/o|exclude|query|confirm|document)\b",
        r"\bif\b(?: [a-z-]+){0,8}",
        (
            r"\b(?:risk|risks|high risk|complications?|likelihood|chance|incidence|increased risk) (?:of|for|include|includes|"
            r"including)(?= (?:a )?(?:developing )?(?!small|tiny))"
        ),
        (
            r"\b(?:clinical|clinically)(?: (?:or|and|for|is|concern|suspicion|question|suspected|high|worry))* (?:concern|"
            r"suspicion|question|suspect\w*|worry)(?: (?:for|of|about|is|remains|exists|persists))*"
        ),
        (
            r"\b(?:in case of|in the event of|should(?: [a-z]+){0,4} develop|predispos\w+ to|precautions for|prevent\w*|dedicated|"
            r"expiratory|reason for exam\w*|indication)\b"
        ),
        r"\b(?:for|of) (?:concern for|suspected|suspicion of|possible|questionable)\b(?= )",
    ),
    "history": (
        r"\b(?:history|hx|h/o|pmh|past medical history) (?:of|for|significant for|notable for|:)?",
        r"\bh/o\b|\bhistory\b|\bpost(?=[- ]$)",
        (
            r"(?<!-)(?<!year )(?<!years )\b(?:old|remote|past)(?= (?:(?:small|tiny|large|right|left|[rl]|bilateral|apical|basal|sided|"
            r"spontaneous|traumatic|iatrogenic|recurrent)[ -])*$)"
        ),
        (
            r"\b(?:status[- ]post|s/p|state after|sp) (?:[a-z-]+ ){0,8}?(?:of|for)\b|\b(?:status[- ]post|s/p|"
            r"state after)(?= (?:(?:spontaneous|traumatic|right|left|recent|prior|bilateral|iatrogenic|a|recurrent) )*$)"
        ),
        (
            r"\b(?:placed|placement|inserted|insertion|tubes?|drains?|catheters?|thoracostomy|treated|treatment|drainage|"
            r"aspiration|drained|admitted|admission|pleurodesis|surgery|transferred|evacuation|decompression|management) (?:for|"
            r"of)\b"
        ),
        r"\b(?:patient|pt|who) (?:had|with prior|with previous)\b|\byears? ago\b|\bin (?:19|20)\d\d\b",
        (
            r"\b(?:which|that|where|when|and) (?:had )?(?:showed|shown|demonstrated|raised|revealed|described|noted)\b|"
            r"\b(?:described|reported|questioned|raised|noted|seen) as\b"
        ),
        r"\bwhere there (?:was|were)\b|\bthere (?:was|were|had been)(?= (?:previously|formerly|initially|originally))",
    ),
    "soft": (
        (
            r"\bpossibl[ey]\b|\bquestion(?:able|ably|ed|s|ing)?\b(?! resolved)|\bequivocal\b|\bsuspect(?:ed|s|ing)?\b|"
            r"\bsuspicio(?:n|us)(?:ly)?\b(?: (?:of|for))?|\bconcern(?:ing|s|ed)?(?: (?:for|about|of))?\b"
        ),
        (
            r"\b(?:may|might|could|can|would|potentially)\b(?: (?:also|well|even|simply|possibly|either|just|potentially|"
            r"conceivably))* (?:represent\w*|be(?! (?:due|related|secondary|from|seen|obtained|helpful|of|attribut\w+|explained|"
            r"caused|associated))|reflect\w*|indicate|suggest|correspond to|account for|signify|mimic|relate to|have|exist|"
            r"include|imply|constitute)"
        ),
        (
            r"\blikely\b|\bprobabl[ey]\b|\bpresum\w+\b|\bperhaps\b|\bquery\b|\bconceivabl[ey]\b|\bpotential\b|\bsuggest(?:s|ion|"
            r"ive|ing|ed)?(?: (?:of|that))?\b|\bpossibilit(?:y|ies)\b(?: (?:of|that))?|\bdoubtful\b|\bworrisome\b(?: for)?|"
            r"\braises?\b|\bborderline\b"
        ),
        (
            r"\b(?:favou?red over|more likely than|less likely than|preferred over)\b|\bversus\b|\bvs?\.(?= )|\bvs\b|"
            r"\bdifferential\b|\bambiguous\b"
        ),
        rf"\b{_FOLD}(?: [a-z]+)? or\b",
        r"\?+",
    ),
}
AFTER = {
    "hard": (
        (
            r"\b(?:can ?not|can't|could not|cannot|couldn't|not|difficult to|hard to|impossible to|unable to be|may not be|"
            r"would be difficult to|not possible to)"
            rf"(?: (?:be|been|to|{_SURELY}|easily|safely))* ?(?:exclud\w+|ruled? ?out|rule-out|discounted|confirmed or excluded|"
            r"identified or excluded|differentiat\w+)"
        ),
        r"\b(?:could|may|might|would) (?:easily )?(?:be )?(?:missed|obscured|masked|hidden|occult)\b",
        rf"\b(?:not|cannot be|poorly) (?:well|adequately|optimally|reliably|fully)[ -](?:{_SEEN}|evaluated|assessed)",
    ),
    "limits": (
        (
            r"\b(?:is|are|was|were|be|been) (?:\w+ )?(?:limited|suboptimal\w*|impaired|precluded|difficult(?! to)|compromised|"
            r"challenging(?! to)|indeterminate|not possible)\b"
        ),
    ),
    "resolved": (
        (
            r"\b(?:has |have |had |is |are |was |now |since |completely |fully |essentially |entirely |totally |apparently |"
            r"interval(?:ly)? )*(?:resolved|cleared|disappeared|resorbed|reabsorbed|absorbed|gone|vanished|evacuated)\b"
        ),
        r"\bno longer\b|\bnot any longer\b|\bnot any ?more\b",
        r"\b(?:complete|interval|full) resolution\b|\bresolution\b|[:,]\s*no (?:\w+ of )?(?:recurrence|re-?accumulation)\b",
        r"\b(?:seen|present|noted) (?:previously|before|earlier|on [a-z ]{1,40}) (?:is|are|was) (?:not|no)\b",
    ),
    "neg": (
        (
            r"\b(?:is|are|was|were|has|have|had|been|be|being)? ?(?:not|never|n't)(?: (?:been|be|yet|any|again|otherwise|"
            rf"currently|being))*(?: {_ADVERBS}?{_SEEN}| {_SURELY} {_SEEN})"
        ),
        r"\b(?:isn't|aren't|wasn't|weren't)\b",
        r"^[ ]?(?:/|and |or |, ?)[a-z /]{0,40}:\s*(?:none|no\b|absent|negative|nil\b)",
        r"^\W{0,3}(?:\([a-z/ ]{1,12}\) ?)?[:=-]\s*(?:no\b|none|absent|negative|nil\b|not\b|neg\b|0\b|nothing|normal|excluded|n\b)",
        r"^\W{0,3}(?:none|absent|negative|nil|excluded|ruled out)\b",
        r"\b(?:is|are|was|were|been|be|can be|as|be) (?:(?!not\b)\w+ )?(?:absent|excluded|ruled out|negative|denied|refuted)\b",
        (
            rf"\bnone (?:is|was|are) (?:definitely |clearly )?{_SEEN}"
            r"(?! (?:before|previously|earlier|(?:on|at|in) (?:the )?(?:left|right|other|contralateral|prior|previous)))"
        ),
        r"(?<!not )(?<!be )\b(?:excluded|ruled out|absent)\W{0,2}$",
    ),
    "soft": (
        r"^[ ]?,? ?(?:versus|vs\.?)(?= )|^ or (?:a )?(?:small )?(?:pneumomediastinum|pneumopericardium)\b",
        (
            r"\b(?:is|are|was|remains?|be|as|not|but|also|considered|felt|thought|deemed) (?:\w+ )?(?:possible|suspected|"
            r"questioned|questionable|likely|probable|equivocal|uncertain|unclear|unlikely|doubtful|suggested|indeterminate|"
            r"considered|favored|favoured|in the differential|a (?:consideration|possibility|concern))\b(?! (?:un|stable|decreas|"
            r"increas|slight|minimal|related|due|secondary|post|iatro|resolv|small|improv|larg|simil|not))"
        ),
        rf"^[^.]{{0,60}}?\b(?:versus|vs?\.?|or|vs\.) (?:a |an |the |other |possible |prominent |merely |just |even )?(?:[a-z]+ )?{_FOLD}",
        r"^[a-z ]{0,40}\?",
        (
            r"^\W{0,3}(?:possible|suspected|questioned|questionable|unlikely|equivocal|uncertain|likely|probable)\b(?! (?:related|"
            r"due|secondary|from|represent|decreas|increas|postop|post|iatro|small|unch|stable|improv|larg))"
        ),
        (
            r"\b(?:should|may|might|could) be (?:considered|present|suspected|there)\b|\bmay exist\b|\bis a concern\b|\b(?:is|"
            r"are) (?:of )?concern"
        ),
    ),
    "persist": (
        (
            r"~|\bpersist\w*|\bremain\w*|\bunchanged|\bstable|\bagain\b|\bre-?demonstrat\w*|\bstill\b|\bresidual|\bsmaller|"
            r"\blarger|\bbigger|\bdecreas\w+|\bincreas\w+|\bimprov\w+|\bworsen\w+|"
            r"\benlarg\w+|\bresolving|\bdiminish\w*|\breduc\w+|\bless (?:conspicuous|prominent|apparent|evident|visible)|"
            r"\bmore (?:conspicuous|prominent|apparent|evident|visible)|\bmeasur\w+|\bsimilar|\bcontinu\w+"
        ),
    ),
}
BREAKS = (
    r"~|;",
    (
        r"\b(?:showing|shows|demonstrates|demonstrating|reveals|revealing|there (?:is|are|has|was|were)|due to|because of|"
        r"secondary to|related to|associated with|by the|by an?|from the|in the setting of|"
        r"despite|component (?:of|to|in)|adjacent to|underlying the|in this|surrounding the|accompan\w+|which (?:is|are)|"
        r"resulting (?:from|in)|attributable to|attributed to|caused by|is (?:a|an)|are (?:a|an)|"
        r"now has|now with|in association with|involving|other|given|followed by|to the known)\b"
    ),
    r"(?<!consistent )(?<!compatible )(?<!keeping )(?<!along )(?<!concordant )\bwith\b",
    (
        r"\b(?:is|are|was|were|has been|have been) (?:\w+ )?(?:seen|noted|present|identified|visuali[sz]ed|demonstrated|unchanged|"
        r"stable|clear|normal|unremarkable|intact|evident|in place|again)\b[^,]{0,30},(?! or\b| nor\b)(?=[^,]*$)"
    ),
)
AFTER_BREAKS = (
    r"\bwith\b|\bwithout\b|\bno (?!longer)",
    (
        r"(?:[,:(]|\band (?:the|a|an|there)|\bwhile)\s*(?:the |a |an |there (?:is|are) |and |small |moderate |large |left |right |"
        r"bilateral |pleural |previously |seen )*"
        r"(?:effusions?|consolidations?|opacit\w+|atelecta\w+|edema|hemothora\w+|pneumonia|infiltrates?|fractures?|tubes?|drains?|"
        r"catheters?|lines?|lungs?|heart|"
        r"mediastin\w+|cardiac|nodules?|mass\w*|emphysema|pneumomediastinum|shift|contusions?|findings?|evaluation|assessment|"
        r"(?:right|left) (?:one|side|is|has))\b"
    ),
    r"\bsuspicious for|\bconcerning for|\bto suggest\b",
)
QUALIFIED = (
    "large", "larger", "tension", "significant", "sizea?ble", "big", "massive", "enlarging", "increasing", "worsening", "gross", "major",
    "moderate",
    "clinically significant", "substantial", "compressive",
)  # fmt: skip
OTHER_SIDE = (
    (
        r"(?:contralateral|other side|opposite|elsewhere|new|additional|further|second|recurrent|recurrence|loculated|anterior|"
        r"basilar|basal|tension|right|left|r|l|enlarging|increasing)\b"
    ),
)
KNOWN = ("known", "recent", "yesterday's", "initial", "(?:compared|in comparison) (?:to|with)")
GROWTH = (r"[ ](?:enlargement|progression|increase|expansion|worsening|growth|re-?accumulation|size|volume)\b",)
CONFIRMED = (r"(?:is|are|was|were|been|now|again) confirmed\b", r"confirm(?:s|ed|ing|ation of|atory)\b(?! (?:or|by))")
EARLIER = (
    (
        rf"(?:previous(?:ly)?|prior|former(?:ly)?|earlier|preexisting|pre-existing|antecedent)(?: (?:{_SEEN}|described|reported|"
        r"mentioned|questioned|suspected|known|small|tiny|moderate|large|trace|right|left|apical|bilateral|-?sided|the|a))*"
        rf"(?! (?:{_EXAM}|to|chest|today|placement|thoracentesis|surgery|lobectomy|wedge|resection|biopsy|tube|"
        r"removal)\b)(?![a-z -]*\b(?:is|are|was|there|now)\b)(?=[a-z -]*$)"
    ),
    rf"(?:was|were) (?:previously |initially |formerly )?{_SEEN}",
)
EARLIER_AFTER = (
    (
        rf"^[ ,]{{0,2}}(?:(?:that|which) )?(?:(?:was|were) )?(?:previously )?(?:{_SEEN}|described|reported|questioned|"
        r"suspected)? ?(?:on|in|at|from) (?:the |a |an )?(?:prior|previous|earlier|yesterday|comparison|outside|recent|last|"
        r"study of|exam of|film of|radiograph of)"
    ),
    rf"^[ ,]{{0,2}}(?:(?:that|which) )?(?:(?:was|were) )?(?:previously {_SEEN}|{_SEEN} (?:previously|before|earlier|yesterday))",
)
ELLIPSIS = (
    (
        r"(?:the |on the |that on the )(?:(?P<left>left)|(?P<right>right))(?:[- ]sided)?(?: (?:one|side|component|apical|"
        r"pneumothorax))* (?:side )?(?:persists|remains|is (?:unchanged|stable|still|smaller|larger|again|slightly|present)|"
        r"has (?:increased|decreased|enlarged)|~)"
    ),
)
UNSURE_TAIL = (
    (
        r"(?:one|this|it|component|small|tiny)\b[^.;]{0,30}(?:can ?not|could not|can't|difficult to|not)\b[^.;]{0,20}(?:exclude|"
        r"excluded|rule out|ruled out)\b"
    ),
    (
        r"(?:can ?not|could not|can't) (?:be )?(?:\w+ly )?(?:exclude|excluded|rule out|ruled out)(?= (?:a |one|small|tiny|"
        r"entirely|completely|on|given|due|with|because|this)|\W*$)"
    ),
)
SIDES = {
    "both": (
        r"bilateral(?:ly)?",
        "biapical",
        r"both(?= (?:sides|lungs|hemithora\w+|apices|pleural|the))",
        "on either side",
        r"right(?:-sided)? and (?:[a-z-]+ ){0,3}?left",
        r"left(?:-sided)? and (?:[a-z-]+ ){0,3}?right",
        "bibasilar",
        "bibasal",
        "right greater than left",
        "left greater than right",
    ),
    "left": ("left", "left-sided", "leftward", "lt", r"l(?!\d|-\d|\.)"),
    "right": ("right", "right-sided", "rt", "r"),
}
OTHER_OWNERS = (
    (
        r"(?:effusions?|tubes?|drains?|catheters?|lines?|pigtails?|picc|port|pacemaker|pacer|icd|consolidations?|opacit\w+|"
        r"atelecta\w+|nodules?|mass\w*|ribs?|fractures?|diaphragms?|hemidiaphragms?|emphysema|hemothora\w+|"
        r"thoracentesis|biopsy|lobectomy|thoracotomy|vats|ventricle|atrium|heart|jugular|subclavian|ij|mainstem|bronchus|carina|"
        r"slices?|sections?|collimation|shift\w*|displac\w+|deviat\w+|contusions?|pneumonia|infiltrates?|lymph\w*|"
        r"scarring|bullae?|granulomas?|clavicle|humer\w+|shoulder|breast|kidney|lobe)\b"
    ),
)
SIZES = (
    (
        r"(?:very |extremely )?(?:tiny|small|minute|minimal|minor|mild|trace|large|moderate|thin|shallow)(?:ly)?(?:[- ](?:to|"
        r"or)[- ](?:tiny|small|moderate|large|medium))?(?:[- ](?:sized|volume))?"
    ),
    (
        r"medium[- ]sized|moderately[- ]sized|sizea?ble|massive|huge|extensive|complete|near-complete|sliver-?(?:like)?|"
        r"barely visible|limited|tension|\d{1,2} ?%|slight"
    ),
)
DRAIN = (
    r"(?:chest|thoracostomy|pleural|intercostal|thoracic) (?:tubes?|drains?|catheters?|pigtails?)\b",
    (
        r"pig-?tails?(?: (?:catheter|drain|tube|chest|pleural)\w*)*(?! (?:ureter|neph|bil))\b|tube thoracostomy|thoracostomy\b|"
        r"pleur-?x\b|heimlich|\bchest-tube|blake drain"
    ),
    r"drains\b(?<!jp drains)(?<!abdominal drains)(?<!surgical drains)(?<!mediastinal drains)(?! (?:into|to|in the (?:abd|pelv)))",
    (
        r"icd\b(?=[^.;]{0,20}(?:tip|seen|noted|in place))(?![^.;]{0,40}\b(?:lead|generator|pacer|pacemaker|wire|ventric|atri|"
        r"cardiac))|intercostal icd"
    ),
)
DRAIN_GONE = (
    (
        r"(?:\bno|\bwithout(?: a)?|\bremov(?:al|ed|e|ing)(?: of)?(?: the| a| both)?|\bprior|\bprevious|\bdiscontinu\w+|\bpull\w*|"
        r"\bafter|\bformer|\bold|\bconsider(?:ation)?(?: of)?(?: a| placing)?|\bneed for(?: a)?|\b(?:may )?requir(?:e|es|ing)(?: a)?|"
        r"\brecommend\w*(?: a)?)"
        r" (?:(?:right|left|bilateral|r|l|the|of|prior|previous|basal|apical|sided|right-sided|left-sided|one|two|small|bore|"
        r"residual)[ -])*$"
    ),
)
DRAIN_GONE_AFTER = (r"[^.;,]{0,60}\b(?:remov(?:ed|al)|pulled(?! back)|discontinued|withdrawn|out\b|no longer|taken out|track|tract|site)",)
TECHNIQUE = (
    (
        r"(?:helical|multidetector|multi-detector|spiral|volumetric|thin-section|axial (?:images|sections|acquisition)|"
        r"(?:low-dose|unenhanced|non-contrast|noncontrast|standard|contrast-enhanced) (?:chest )?ct|multiplanar|reformat\w*|"
        r"mm (?:slices|sections|reconstructions)|images were (?:obtained|acquired))\b"
    ),
)
THORAX = (
    (
        r"(?:chest|thora\w*|lungs?|pulmonary|pleura\w*|cxr|hilar|hila|mediastin\w*|rib|ribs|cardiomediastinal|cardiac silhouette|"
        r"heart size|costophrenic|trachea\w*|cardiomegaly|aorta|bronch\w+|airspace)\b"
    ),
)
ELSEWHERE = (
    (
        r"(?:(?:ct|mri?|mr|ultrasound|us|sonogra\w+|x-?rays?|radiographs?|films?|exam\w*|scan|doppler)[ :,-]+(?:of |the |left |"
        r"right |a )*(?:[a-z]+ )?(?:head|brain|skull|neck|sinus\w*|cervical|lumbar|thoracolumbar|spine|abdom\w+|pelvi\w+|knee|hip|"
        r"ankle|foot|wrist|hand|elbow|shoulder|femur|tibia|"
        r"kidney|renal|liver|hepatic|orbit\w*|face|facial|temporal|extremit\w+|thyroid|upper quadrant|gallbladder|prostate|breast|"
        r"leg|arm|finger|toe|scrot\w+))"
    ),
    (
        r"(?:head|brain|abdom\w+(?: and pelvis)?|pelvi\w+|lumbar spine|cervical spine|knee|hip|ankle|foot|wrist|hand|elbow|"
        r"shoulder|femur) (?:ct|mri|ultrasound|x-?rays?|radiographs?|films?|series|views?|two views|three views)"
    ),
    (
        r"kub\b|mammogra\w+|(?:knee|hip|ankle|foot|wrist|hand|elbow|shoulder|finger), (?:one|two|three|four|\d) views?|"
        r"obstetric\w*|intracranial|ultrasound of the"
    ),
)
HEADINGS = {
    "INDICATION": (
        "indication", "indications", "history", "clinical information", "clinical history", "clinical indication", "clinical data",
        "clinical details", "clinical statement", "clinical question", "clinical context", "clinical background",
        "clinical concern", "clinical indications", "clinical", "reason for exam", "reason for examination", "reason for study",
        "reason for this examination", "reason for the exam", "reason for the study", "reason", "reason for visit",
        "reason for test", "reason for request", "hx", "patient history", "present illness", "history of present illness",
        "medical history", "underlying medical condition", "admitting diagnosis", "chief complaint", "symptoms",
        "signs and symptoms", "ordering diagnosis", "clinical info", "clin info", "clinical notes", "indication for study",
        "indication for exam", "indication/history", "history/indication", "indication and history", "history and indication",
        "reason for exam/indication", "question", "request", "clinical diagnosis", "referral",
    ),
    "TITLE": (
        "technique", "procedure", "protocol", "examination", "exam", "study", "exam type", "type of exam", "method", "methods",
        "contrast", "views", "view", "radiation dose", "dose", "procedure comments", "technique and findings", "scan technique",
        "imaging technique", "modality", "study type", "exam date", "exams", "examinations", "date", "procedures",
        "procedure performed", "examination performed", "accession number", "limitations", "title",
    ),
    "COMPARISON": (
        "comparison", "comparisons", "comparison studies", "comparison study", "prior studies", "prior study", "priors",
        "previous studies", "previous exam", "comparison exam", "comparison examination", "prior exams", "prior exam",
        "comparison is made to", "comparative studies", "correlation",
    ),
    "PRELIMINARY": (
        "wet read", "wet reading", "preliminary read", "preliminary report", "preliminary findings", "ed read", "ed interpretation",
        "prelim", "preliminary interpretation", "preliminary impression",
    ),
    "FINDINGS": (
        "findings", "finding", "report", "description", "result", "results", "observations", "observation",
        "findings and impression", "final report", "body", "radiographic findings", "ct findings", "findings/impression",
        "chest findings", "discussion", "recommendation", "recommendations", "interpretation",
    ),
    "IMPRESSION": (
        "impression", "impressions", "conclusion", "conclusions", "opinion", "summary", "assessment", "imp", "final diagnosis",
        "in summary", "final impression", "in conclusion", "radiological diagnosis", "diagnostic impression", "overall impression",
        "summary of findings", "diagnosis", "impression and plan",
    ),
    "ADDENDUM": (
        "addendum", "addenda", "addendum report", "correction", "revised report", "amended report", "addendum begins", "addendum 1",
    ),
    "BODY": (
        "chest", "lungs", "lung", "pleura", "pleural spaces", "pleural space", "lungs and pleura", "lungs and airways",
        "lungs/pleura", "heart", "mediastinum", "heart and mediastinum", "lungs and pleural spaces", "cardiac",
        "cardiomediastinal silhouette", "cardiomediastinum", "bones", "soft tissues", "bones and soft tissues", "chest wall",
        "lines and tubes", "lines/tubes", "support devices", "tubes and lines", "devices", "airways", "other", "thorax", "ct chest",
        "chest ct", "chest radiograph", "chest x-ray", "cxr", "pleura/lungs", "musculoskeletal", "upper abdomen",
        "pa and lateral chest", "lines", "tubes", "hila", "support apparatus", "two views of the chest",
        "pa and lateral views of the chest", "ap chest", "portable chest", "single view of the chest",
    ),
}  # fmt: skip
WEAK_HEADINGS = (
    "clinical", "reason", "symptoms", "question", "request", "method", "contrast", "views", "view", "dose", "date", "study", "exam",
    "procedure", "report", "result", "description", "body", "imp", "diagnosis", "correlation", "discussion", "recommendation",
    "summary", "assessment", "procedures", "modality", "limitations", "title", "priors", "correction", "opinion", "referral",
    "prelim", "interpretation", "history", "examination", "finding", "hx",
)  # fmt: skip
