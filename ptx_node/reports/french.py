"""Comment les radiologues parlent d'un pneumothorax: patterns on folded text (lower case, no accents), in their order.

A mask leaves `~` in the text: there the report says that something is still as it was, or not yet gone.
"""

from __future__ import annotations

_SEEN = (
    r"(?:vue?s?|visible|visuali[sz]ee?s?|retrouvee?s?|mise?s? en evidence|decelee?s?|decelable|individuali[sz]ee?s?|"
    r"identifiee?s?|detectee?s?|detectable|notee?s?|observee?s?|objectivee?s?|"
    r"present|presente|constatee?s?|confirmee?s?|apparente?|demontree?|montree?|evident|signalee?|figure|retenue?|discernable|"
    r"perceptible|reperee?)"
)
_SURELY = (
    r"(?:formellement|completement|totalement|certainement|clairement|nettement|facilement|avec certitude|de facon formelle|"
    r"de maniere formelle|actuellement|a ce jour|ce jour|entierement|nettement|franchement|toutefois|egalement|pas|etre|"
    r"tout a fait|absolument|encore|ici|donc)"
)
_MUCH = (
    r"(?:significatifs?|significatives?|notables?|nette?s?|franche?s?|franc|reelle?s?|evidente?s?|importante?s?|majeure?s?|"
    r"recente?s?|patente?s?|claire?s?|objective?|radiologiques?|scanographiques?|"
    r"manifestes?|sensibles?|appreciables?|d'argument pour une|de signe de|secondaire|ulterieure?|nouvelle|ou|ni|et|d'|de|,)"
)
_CHANGE = (
    r"(?:majorations?|modifications?|changements?|variations?|evolution|augmentation|diminution|regression|progression|"
    r"aggravation|differences?|amelioration|resorption|disparition|extension|evolutivite|resolution|evacuation)"
)
_PARTLY = (
    r"(?:quasi(?:ment|-)?|partiel(?:le|lement)?s?|incomplet(?:e|es|ement)?|subtotale?(?:ment)?|presque|nette(?:ment)?|"
    r"discrete(?:ment)?|legere(?:ment)?|moderee?(?:ment)?|progressive(?:ment)?|"
    r"importante?|significative(?:ment)?|lente(?:ment)?|franche(?:ment)?|minime|bonne|relative|sensible(?:ment)?|notable|"
    r"debut de|cours de|voie de|majeure partie)"
)
_GONE = (
    r"(?:disparu\w*|disparition|regresse\w*|regression|resorb\w+|resorption|resolu\w*|resolution|evacue\w*|evacuation|"
    r"reexpan\w+|"
    r"re-expan\w+|amende\w*)"
)
_AT_THE_WALL = r"(?:recol+e\w*|re-?accole\w*|a la paroi|au mur|au contact de la paroi)"
_FOLD = (
    r"(?:plis? cutanee?s?|plis?|bulles?|blebs?|artefacts?|superpositions?|bulle|emphysem\w+|kystes?|pincement|bord|bande|"
    r"image construite|cause)"
)
_AIR = r"(?:gazeu(?:x|ses?)|aeri(?:ques?|ens?|ennes?)|d'air)"

INITIALS = "abcdeghlnpq"
"""Letters with which the names, descriptions and signs of one begin: most words of a text are passed over with one look."""
TERMS = (
    r"pnts?\b",
    (
        r"epanchements?(?:,? (?!pericard|peritone|sous-|medias|articul|pas\b|sans\b|avec\b|mais\b|retro|intra-?abdo|"
        r"intra-?perit|"
        rf"de\b|sur\b)[a-z'-]+){{0,6}}?,? (?:{_AIR}|mixtes?|hydro-?aeri(?:ques?|ens?)|aero-?liquidiens?|"
        r"hydro-?gazeux)\b(?! (?:peritone|medias|pericard|sous|intra-?perit|retro|abdo))"
    ),
    rf"epanchements? (?:{_AIR}|mixtes?|hydro-?aeri(?:ques?|ens?))\b(?! (?:peritone|medias|pericard|sous|intra-?perit|retro|abdo))",
    (
        r"decollements? (?:(?:de la plevre|du poumon|pleuro-?parietal|pleuro-?pulmonaires?|apicale?|"
        rf"[a-z'-]+) ){{0,3}}?(?:pleura(?:l|ux)|{_AIR}|pleuro-?pulmonaires?|apical)\b"
    ),
    (
        r"decollements? (?:pleura(?:l|ux)|de la plevre)|decollements? du poumon|poumons? (?:droit |gauche )?(?:decolle|"
        r"collabe)s? (?:de la paroi )?par (?:de l'air|un epanchement)"
    ),
    (
        r"(?:lames?|lamelles?|poches?|bulles?|collections?|croissants?|bandes?|quantite|niveaux?) (?:[a-z-]+ )?(?:d'air|"
        r"gazeuses?|"
        r"aeri(?:ques?|ennes?|ens?)|de gaz|hydro-?aeri(?:ques?|ens?))(?: (?!medias|perit|pericard|sous-cut|retro|"
        r"cerv)[a-z'-]+){0,3}? (?:intra-?)?(?:pleura(?:le?s?|ux)|intrapleura(?:le?s?|ux)|plevre|la cavite pleurale|"
        r"l'espace pleural)\b"
    ),
    r"(?:lames?|lamelles?) (?:d'air|gazeuses?|aeri(?:ques?|ennes?))\b(?! (?:medias|perit|pericard|sous|retro|cerv|pre|para))",
    (
        r"(?:air|gaz)(?: libre| residuel)? (?:intra-?pleural|dans (?:la|les|l')(?: grande| deux)? ?(?:cavites?|plevres?|"
        r"espaces?)(?: pleura\w+)?|pleural)\b"
    ),
    r"collections?(?: pleurales?)?(?: [a-z'-]+){0,5},? (?:liquidiens? et )?gazeux(?= pleura|\b)(?<=gazeux)",
    r"composante (?:liquidienne et |liquide et |pleurale )?(?:gazeuse|aerique|aerienne)\b",
    r"(?:cavite|plevre|contenu)(?: [a-z'-]+){0,3} (?:contenant|comportant) de l'air",
    (
        r"pneumos?\b(?![- ]?(?:thora|medias|perit|peric|nia|log|coc|pat|cyst|gastr|encep))(?<=un pneumo|de pneumo|it pneumo|"
        r"me pneumo|ns pneumo)"
    ),
    r"decollements?\b(?! (?:de la retine|retinien|epiphys|prothe|cutane|placent))",
)
SIGNS = (
    r"lignes? pleurales?(?: visceral\w*)?|lisere pleural(?: visceral)?",
    r"hyperclarte (?:avasculaire|sans trame|apicale avasculaire)|absence de trame (?:vasculaire|pulmonaire|bronchovasculaire)",
)
MASKS = (
    (
        rf"(?:pas|absence|sans|aucune?|peu|ni)(?: d'| de | du |[ ])?(?:{_MUCH} ?){{0,4}}{_CHANGE}(?:,? (?:ou|et|ni) (?:d'|"
        rf"de )?{_CHANGE})?(?: {_MUCH}){{0,2}}"
        r"(?: (?:en taille|de taille|de volume|d'abondance|de l'abondance|de la taille|du volume|de l'aspect|de l'importance|"
        r"de l'epaisseur|de l'etendue))?"
        r"(?= (?:du|de la|des|de l'|de ce|de cet|d'un|au niveau|dans|concernant|par rapport au pneumo|de son|en ce qui)\b)"
    ),
    (
        rf"(?:n'(?:a|ont|est|sont|avait)|ne s'est|ne se sont|ne|n') ?(?:toujours )?pas(?: (?:encore|{_SURELY}|ete|"
        rf"significativement|notablement))* ?(?:{_GONE}|{_AT_THE_WALL}|chang\w+|"
        r"evolu\w+|diminu\w+|augment\w+|modifi\w+|major\w+|progress\w+|"
        r"aggrav\w+|amelior\w+|compressif|suffocant|vari\w+)"
    ),
    (
        rf"non(?: completement| totalement| encore)? (?:{_GONE}|{_AT_THE_WALL}|modifi\w+|evolutif|compressif|suffocant|draine|cloisonne|"
        r"majore|"
        r"connu|decrit|compliqu\w+\b(?! d)|traumatique|significativement modifi\w+|inject\w+)"
    ),
    (
        rf"(?:non|peu|difficilement|mal|a peine|in)-? ?{_SEEN}(?: \w+)? (?:sur|a|au|dans|lors|en) (?:la |le |les |l'|de la |"
        r"de l'|"
        rf"du )?(?:radio\w*|cliche|rp|rx)(?: (?!et\b|ni\b)[a-z']+){{0,3}}"
    ),
    (
        rf"(?:(?:non|pas|peu)-? ?{_SEEN}|absente?s?|inexistante?s?)(?: \w+)? (?:sur|a|au|dans|lors|en) (?:la |le |les |l'|"
        r"de la |"
        rf"de l'|du )?(?:[a-z]+ ){{0,2}}?(?:precedent\w*|anterieur\w*|initial\w*|de la veille|d'hier|du \d)"
    ),
    (
        r"sans (?:changements?|modifications?|evolution|variations?|evolutivite)(?: (?:significati\w+|notables?|franche?))?\b|"
        r"mais pas (?=le |la |celui|du )"
    ),
    r"(?:non|pas)(?: \w+)? (?:vue?|visible|present|decrit|connu|retrouve)e? (?:anterieurement|auparavant|precedemment|initialement)",
    rf"{_PARTLY} (?:(?:de|la|sa|complete(?:ment)?|totale(?:ment)?|nette|franche|partielle|bonne) ){{0,2}}{_GONE}",
    (
        rf"{_GONE} (?:tres |seulement |quasi(?:ment)?[- ]?(?:complete?|totale?)?|presque|quasi){{1,2}} ?(?:partielle?|"
        r"incomplete?|"
        r"moderee?|complete|totale|entiere)?"
    ),
    rf"{_GONE} (?:{_PARTLY}|en partie)\b",
    rf"\bn'(?:a|est) que (?:{_PARTLY}|peu|tres)?",
    r"(?:n'est|n'est donc|non) plus (?:compressif|suffocant|sous tension|evolutif|cloisonne|aussi)",
    r"peu (?:visible|epais|abondant|important|etendu|modifie)",
    r"a l'exception d'une|sans (?:aucun )?doute|pas de doute|ne fait pas de doute",
    (
        r"(?:pas|absence) (?:d'|de )(?:examens?|cliches?|anteriorites?|comparatif|"
        r"antecedents? radiologiques?)(?: anterieurs?)?(?: disponibles?| comparatifs?)?"
    ),
    r"in-?changee?s?|(?:est|reste|demeure) identique",
)
CLAUSES = (
    r";",
    (
        r"\b(?:mais|(?<!etant )(?<!est )(?<!peut )(?:cependant|toutefois)|neanmoins|en revanche|par contre|alors que|"
        r"tandis que|"
        r"hormis|en dehors d\w*|excepte|sauf|a l'exception d\w*|mis a part|outre|contrastant|si ce n'est|a part)\b"
    ),
)
JOINS = ("ou", "ni", "et de", "et d'", "et")
NEW_PHRASE = (
    (
        r"(?:tres |assez )?(?:petite?s?|minimes?|discrete?s?|fines?|infimes?|faibles?|volumineu(?:x|ses?)|importante?s?|"
        r"massifs?|"
        r"moderee?s?|gros(?:se)?s?|large|epais\w*|rares?|quelques|millimetriques?|modeste)\b"
    ),
    (
        r"(?:persistance|apparition|presence|majoration|stabilite|diminution|augmentation|regression|aspect|possible|probable|"
        r"eventuel|doute|suspicion|recidive|residuel\w*|visualisation|mise en evidence|on (?:note|retrouve|visualise|observe)|"
        r"il existe|connu|nouveau|lame|lames|bulles)\b"
    ),
    r"(?:a (?:droite|gauche)|du cote|droite?s?|gauches?)\b",
    r"\d+(?:[.,]\d+)? ?(?:mm|cm)",
    r"(?:un|une|des|le|du)\b",
)
BEFORE = {
    "hard": (
        (
            r"\b(?:ne|n'|non|pas|sans|difficile d'|difficile de|difficilement|impossible d'|impossible de|impossibilite d'|"
            r"impossibilite de|delicat d')(?: ?(?:peut|peuvent|pouvoir|pouvant|permettant|permet|permettent|on|est|etre|se|"
            rf"possible|puisse|pourra|permettre|d'|de|{_SURELY}))* ?"
            r"(?:d'|de )?(?:exclu(?:re|e?s?|t)?|elimin\w+|ecart\w+|infirm\w+|affirmer ni)(?: (?:formellement|completement|"
            r"totalement|avec certitude|la presence|l'existence|l'hypothese|le diagnostic))*"
        ),
        r"\b(?:reste|demeure) (?:incertain\w*|douteu\w*|possible)\b|\bincertain\w* (?:quant|concernant|sur)\b",
        r"\bgen\w+ (?:la recherche|la detection|l'analyse|l'evaluation) d\w*",
    ),
    "resolved": (
        (
            r"\b(?:disparition|resolution|resorption|evacuation|guerison|drainage complet|"
            r"exsufflation complete)(?: (?:complete|"
            r"totale|quasi-totale|entiere|radiologique))?(?: (?:du|de la|des|de l'|d'un|de))"
        ),
        r"\bregression (?:complete|totale|entiere)(?: (?:du|de la|des|de l'|d'un))?|\bdisparition\b",
        (
            r"\b(?:on )?ne (?:retrouve|visualise|voit|met|note|identifie|objective|distingue|persiste|met-on|"
            r"constate)(?:-t-on)? (?:plus|plus d'argument)\b|\bn'(?:y a|existe|identifie|objective|observe|individualise|"
            r"est) plus\b|\bplus (?:d'image de|de|d'argument pour|de signe de|aucun)\b|\bne persiste pas\b"
        ),
        (
            r"\b(?:re-?expansion|retour|recol\w+|reexpansion)(?: (?:complete|totale|a la paroi|"
            r"pulmonaire))+(?: [a-z'-]+){0,6}? (?:apres|suite|du|de|d'un)\b"
        ),
        r"\b(?:pas|sans|aucune?|absence)(?: de)? (?:residu|persistance|reliquat|sequelle)\w* (?:du|de)\b",
    ),
    "neg": (
        (
            r"\b(?:simulant|mimant|pseudo|plutot qu\w*|et non|a ne pas confondre avec|a (?:distinguer|differencier) d\w*|"
            r"plus qu\w*|pouvant simuler|faux aspect de|fausse image de|et pas)\b"
        ),
        (
            r"\bpas\b|\bni\b|\bsans\b|\baucune?s?\b|\babsence\b|\babsente?\b|\bnon\b|\bnul\b|\bindemnes?\b|\blibres? de\b|"
            r"\bexempte?s?\b|\bjamais\b|\bdepourvue?s?\b|\bss\b|\bnegatif\w*\b|\bno\b"
        ),
        (
            r"\b(?:elimin(?!er\b)\w+|exclu(?:t|ant)?|ecart(?!er\b)\w+|infirm(?!er\b)\w+)"
            r"(?= (?:le diagnostic|l'hypothese|la presence|un|tout|le|"
            r"l'existence|formellement))"
        ),
        r"\b(?:elimine|exclut|ecarte|infirme)\b",
    ),
    "asked": (
        (
            r"(?<!la )\b(?:recherch\w+|rechercher|a la recherche)(?: d'| de| du| un| une| la| le)*|\b(?:eliminer|exclure|"
            r"ecarter|"
            r"verifier|evaluer|rechercher|depister)\b(?: la presence| l'absence)?"
        ),
        (
            r"\b(?:bilan|suivi|surveillance|controle|evolution|evaluation|reevaluation|verification|depistage) (?:d'un|du|"
            r"d'une|"
            r"de|evolutif)\b|\ben cas d\w*|\bsi\b(?: (?:la|le|un|une|les|l'))* ?(?:suspicion|doute|besoin|apparition|suspecte|"
            r"clinique|persistance|symptom\w+)"
        ),
        (
            r"\b(?:risques?|prevention|complications?) (?:de|d'un|du)\b(?! type)|\bpour\b (?:un |une )?(?:suspicion|doute|"
            r"bilan|"
            r"controle|eliminer|recherche)"
        ),
        r"\b(?:motif|indication|demande|adresse\w* pour|question)\b",
    ),
    "history": (
        (
            r"\b(?:antecedents?|atcds?|atcd|histoire|notion|episodes?|decouverte|ancien)(?: (?:personnel|familial|medical|"
            r"connu|"
            r"recent|ancien|lointain|de|d'un|du|des|d'))*"
        ),
        (
            r"\b(?:drain\w*|drainage|pleurodese|symphyse|talcage|exsufflation|ponction|opere|traite\w*|traitement|"
            r"hospitalis\w+|"
            r"chirurgie|pris en charge|prise en charge|pose d'un drain)(?: [a-z'-]+){0,3}? (?:pour|d'un|du|de son|sur)\b"
        ),
        (
            r"\b(?:faisant|fait|faisaient) (?:suspecter|craindre|evoquer)\b|\b(?:montrant|retrouvant|montrait|retrouvait|"
            r"objectivait|decrivait|visualisait|mettant en evidence|mettait en evidence)(?: deja)?\b"
        ),
        r"\bstatut post\b|\bpost-? ?(?=pneumothorax)|\b(?:suites?|decours|apres)(?: (?:d'un|du|de|son))\b|\bil y a \d",
    ),
    "soft": (
        (
            r"\b(?:possibles?|possiblement|probables?|probablement|eventuel\w*|douteu(?:x|se)s?|equivoques?|vraisemblabl\w+|"
            r"hypothese|hypothetique|peut-etre)\b(?: (?:d'un|de))?"
        ),
        (
            r"\b(?:dout\w+|suspicion|suspect\w*|questions?|discut\w+|soupcon\w*|crainte|interrogation)\b(?: (?:sur|d'un|de|un|"
            r"quant|concernant))*"
        ),
        (
            r"\b(?:pouvant|pourrait|pourraient|peut|peuvent|semble|semblant|semblerait)(?: (?:faire|egalement|aussi|bien|tout|"
            r"a fait|etre en rapport avec|en rapport avec))* (?:correspondre|evoquer|suspecter|traduire|etre|representer|"
            r"discuter|"
            r"temoigner|suggerer|craindre|penser)\b"
        ),
        r"\b(?:a confronter|versus|vs|diagnostic differentiel|incertain\w*|limite|mal systematise)\b",
        rf"\b{_FOLD}(?: (?!ou\b)[a-z'-]+){{0,3}} ou\b",
        r"\?+",
    ),
}
AFTER = {
    "hard": (
        (
            r"\b(?:ne|n'|non|pas|difficile a|difficilement|impossible a|n'est pas)(?: ?(?:peut|peuvent|pouvant|est|etant|sont|"
            rf"etre|possible d'|pourra|puisse|{_SURELY}))* ?(?:d'|de )?(?:exclu\w*|elimin\w+|ecart\w+|infirm\w+)"
        ),
        (
            r"\b(?:pourrait|peut|peuvent|pouvant|pourraient|risque de)(?: \w+)? (?:passer inapercu|etre (?:masque|meconnu|"
            r"manque|"
            r"sous-estime))|\bmeconnu\b"
        ),
        (
            r"\b(?:reste|demeure|restant|demeurant)(?:nt)? (?:incertain\w*|douteu\w*|possible\w*|a discuter|discutable|"
            r"difficile)\b|\bdiagnostic (?:incertain|difficile)\b"
        ),
    ),
    "limits": (r"\b(?:est|etait|reste|rendue?) (?:\w+ )?(?:limitee?|difficile(?! a )|genee?|impossible|sous-optimale?|perturbee?)\b",),
    "resolved": (
        (
            r"^ (?:droit |gauche )?et (?:l'|un )?epanchements?[a-z ]{0,40} (?:resorbes|disparus|resolus|ont (?:totalement |"
            r"completement )?disparu)\b"
        ),
        (
            r"\b(?:a|ont|est|sont|avait|ayant|actuellement|totalement|completement|entierement|maintenant|desormais|"
            r",)? ?(?:totalement |completement |entierement |ce jour |maintenant |desormais )*(?:disparu\w*|resorbee?s?|"
            r"resolue?s?|resolutif|evacuee?s?|guerie?s?|exsuffle)\b"
        ),
        (
            r"\b(?:a|ont|ayant) (?:totalement|completement|entierement) regresse\b|\bcompletement regresse\b|"
            r"\bregress\w+ (?:complet\w*|total\w*|completement|totalement)\b"
        ),
        (
            r"\b(?:n'est|n'est pas|ne sont|n'etait|n'a|non|n'ayant|n'est actuellement) plus\b|\bplus (?:visible|retrouve|"
            r"present|"
            r"individualise|vu|mis en evidence|decelable|visualise|identifie)\b"
        ),
        r"\b(?:disparition|resolution|resorption|regression) (?:complete|totale)\b|:\s*(?:disparition|resolution|resorption)\b",
        rf"\bpoumons? (?:droit |gauche |bien )?{_AT_THE_WALL}\b|[:,]\s*(?:sans|pas de|absence de) (?:signe de )?recidive\b",
    ),
    "neg": (
        (
            r"\b(?:n'est|n'est actuellement|n'a|ne sont|n'ont|n'est donc|n'etait|non|pas|n'apparait|n'existe|jamais|"
            r"n')(?: ?(?:pas|ete|donc|actuellement|clairement|franchement|formellement|nettement|ce jour|a ce jour|"
            rf"etre))* ?{_SEEN}\b"
        ),
        r"^[ ]?(?:/|et |ou |, ?)[a-z /]{0,40}:\s*(?:absent|absence|aucun|non\b|neant|pas\b)",
        r"^\W{0,3}(?:\([a-z/ ]{1,12}\) ?)?[:=-]\s*(?:n(?:on)?\b|absente?|absence|aucun|neant|negatif|pas\b|0\b|ras\b|nul)",
        r"^\W{0,3}(?:absent|elimine|exclu|ecarte|infirme|neant)\b",
        (
            r"\b(?:est|sont|etre|a ete|ete|donc|peut etre|soit) (?:(?!non\b)\w+ment |donc )?(?:absente?s?|eliminee?s?|"
            r"exclue?s?|"
            r"ecartee?s?|infirmee?s?)\b"
        ),
        r"(?<!non )(?<!pas )(?<!etre )\b(?:elimine|exclu|ecarte|infirme|absent)\W{0,2}$",
    ),
    "soft": (
        (
            r"^[a-z ,'-]{0,60}?\b(?:a discuter|a confirmer|a confronter|a evoquer|a envisager|possible|probable|suspecte|"
            r"suspectee|douteux|equivoque|eventuel|peu probable|improbable|incertain|evoque)\b(?! (?:en rapport|lie|"
            r"secondaire|"
            r"droit|gauche)\b)"
        ),
        r"^ ?,? ?(?:versus|vs)\b|^[a-z -]{0,25} ou (?:un )?(?:minime )?pneumomediastin",
        rf"^[^.]{{0,50}}?\b(?:versus|vs|ou)(?: (?:un|une|simple|d'un|d'une|plutot))? {_FOLD}",
        r"^[a-z ,'-]{0,45}\?",
    ),
    "persist": (
        (
            r"~|\bpersist\w*|\b(?:re-?)?apparition|\brecidive|\brest(?:e|ant)\b|\binchang\w+|\bstable|\bstabilit\w+|"
            r"\btoujours\b|\bresiduel|\bdiminu\w+|"
            r"\baugment\w+|\bmajor\w+|\bregress\w+|\bmesur\w+|\bconnu(?![ ,]+(?:et |qui |mais |actuellement )?(?:n'|non|pas|plus))|"
            r"\bidentique|\brepr\w+|\bcomparable|\bsimilaire|"
            r"\bestime\w*|"
            r"\breduit\w*|\breduction|\ba minima"
        ),
    ),
}
BREAKS = (
    r"~|;",
    (
        r"(?<!compatibles )(?<!compatible )(?<!rapport )\bavec\b|\b(?:associee?s? a\w*|secondaires? a\w*|en rapport avec|"
        r"lie\w* a\w*|due?s? a\w*|il existe|il persiste|on (?:note|retrouve|visualise|observe|met)(?! pas)|presence|"
        r"persistance|"
        r"apparition|"
        r"mise en evidence d\w*|visualisation|correspondant|traduisant|temoignant|malgre|au contact|autour|par le|par un|"
        r"en regard|aspect (?:de|d'un|inchange|stable)|majoration|suspect\w+ (?:a|sur)|confirmation)\b"
    ),
)
AFTER_BREAKS = (
    r"\bavec\b|\bsans\b|\bpas d\w*|\bni d\w*|\babsence\b|\baucun\w*\b",
    (
        r"(?:[,:(]|\bet\b|\bainsi que\b)\s*(?:le |la |les |l'|un |une |de |d'|du |petit |minime |discret |"
        r"epanchement (?=pericard|"
        r"liquid|pleural liq))*(?:epanchements? (?:pleural |pericard|liquid|pleuraux )|foyers?|condensations?|opacite\w*|"
        r"atelecta\w+|fractures?|drains?(?! en place)|sonde|"
        rf"catheters?|poumon(?! (?:droit |gauche |bien )?{_AT_THE_WALL})|"
        r"coeur|mediastin\w*|nodules?|emphyseme|pneumomediastin|deviation|contusions?|hemothorax|"
        r"lame liquid\w+|"
        r"embolie|adenopath\w+|parenchyme)"
    ),
)
QUALIFIED = (
    "compressif", "suffocant", "important", "volumineux", "significatif", "massif", "large", "gros", "abondant", "sous tension",
    "majeur", "complet", "franc",
)  # fmt: skip
OTHER_SIDE = (r"(?:controlateral|nouvel?|nouveau|autre|recidive|droite?|gauche|compressif|cloisonne|supplementaire|majore|recidivant)\b",)
KNOWN = ("connu", "initial", "recent", "par rapport (?:a|au|aux)", "hier", "la veille")
GROWTH = (r"[ ](?:augmentant|majore|evolutif)\b",)
CONFIRMED = (r"(?:est|etait|bien|donc|ete|ce jour) confirmee?s?\b", r"confirm(?:e|ant|ation)\b(?! (?:ou|par))")
EARLIER = (r"(?:precedent|precedente|precedemment|anterieur|ancien|initial|prealable|auparavant)(?= (?:[a-z'-]+ ){0,3}$)",)
EARLIER_AFTER = (
    (
        r"^[a-z ,-]{0,30}?\b(?:(?:decrit|vu|visible|present|connu|signale|visualise|note|constate|retrouve|"
        r"objective)e?s? )?(?:precedemment|anterieurement|initialement|auparavant|"
        r"(?<!rapport )(?:sur|lors|a) (?:de )?(?:l'|la |le |du |au )?(?:examen|scanner|tdm|radio\w*|cliche|controle|"
        r"bilan) (?:precedent|"
        r"anterieur|initial|du \d|de la veille|d'hier)\w*)"
    ),
    r"^[a-z ,-]{0,20}?\b(?:ancien\w*|initial)\b",
)
ELLIPSIS = (
    (
        r"(?:celui (?:de |du )?)?(?:cote |a )?(?:(?P<left>gauche)|(?P<right>droite?))[^.;,]{0,20} (?:persiste|reste|demeure|"
        r"est (?:stable|inchange|toujours)|diminue|augmente)"
    ),
)
UNSURE_TAIL = (r"(?:un|sans pouvoir|bien qu\w*)[^.;]{0,40}(?:ne p\w+|sans pouvoir|pas)[^.;]{0,25}(?:exclu|elimin|ecart)\w*",)
SIDES = {
    "both": (
        "bilatera(?:l|le|ux|les)",
        "des deux cotes",
        "droite?(?: [a-z']+){0,4}? et (?:a )?gauche",
        "gauche(?: [a-z']+){0,4}? et (?:a )?droite?",
        "de part et d'autre",
        "des deux poumons",
        "des deux champs",
    ),
    "left": ("gauches?", "gche?", r"g"),
    "right": ("droite?s?", "dte?", r"d(?!')"),
}
OTHER_OWNERS = (
    (
        r"(?:epanchement (?:pleural )?liquidien|epanchement pleural(?! gaz| aer)|drains?|sondes?|cathet\w+|voie|vvc|picc|"
        r"chambre|"
        r"condensations?|foyers?|opacites?|atelecta\w+|nodules?|micronodules?|masses?|cotes|fractures?|coupoles?|emphyseme|"
        r"hemothorax|lobe|lobaire|biopsie|"
        r"bronche|carene|coupes?|deviation|deplac\w+|refoul\w+|contusions?|ventricul\w+|oreillette|coeur|jugulaire|"
        r"sous-claviere|"
        r"adenopath\w+|lame liquid\w+|hernie|rein|sein|devie\w*|vers la|pneumopath\w+|bulle)\b"
    ),
)
SIZES = (
    (
        r"(?:tres |assez )?(?:petite?s?|minimes?|discrete?s?|fines?|infimes?|faibles?|volumineu(?:x|ses?)|importante?s?|"
        r"massifs?|"
        r"modere\w*|gros(?:se)?s?|large|modestes?|abondante?s?|etendue?s?|moyenne?s?|millimetriques?|punctiforme|majeur|"
        r"partiel|"
        r"complet|total)"
    ),
    (
        r"(?:de |d')(?:tres )?(?:petite|faible|moyenne|grande|abondance|importance|minime|moderee)(?: (?:taille|abondance|"
        r"importance|moderee|moyenne|minime|volume))?"
    ),
)
DRAIN = (
    (
        r"drains?\b(?! (?:abdom|de redon|peri|mediastinal|biliaire|urin|ventric|sous))|pleuroca?th\w*|drainage (?:pleural|"
        r"thoracique|en place|aspiratif)|queue de cochon|sous drainage|drainage(?= en cours)"
    ),
)
DRAIN_GONE = (
    (
        r"(?:\bpas|\bsans|\bablation|\bretrait|\bapres (?:l')?ablation|\babsence|\baucun|\bretire\w*|\bancien|\btrajet|"
        r"\bapres|"
        r"\bproposer|\bdiscuter|\bindication)(?: (?:d'un|du|de|d'|des|la|le|l'|un|une|pose|mise|en|place|ancien))*[ ']*$"
    ),
)
DRAIN_GONE_AFTER = (r"[^.;,]{0,50}\b(?:retire|enleve|ote|ablate|ablation|retrait|n'est plus)",)
TECHNIQUE = (
    (
        r"(?:acquisitions?|helicoidale?|volumique|spiralee?|(?:scanner|tdm) thoracique (?:sans (?:injection|iv|contraste|"
        r"produit)|"
        r"avec (?:injection|contraste)|injecte|basse)|coupes de|apres injection|sans injection|reconstructions?|filtres?)\b"
    ),
)
THORAX = (
    (
        r"(?:thora\w*|poumons?|pulmonaires?|pleura\w*|plevre\w*|medias\w*|tap\b|cotes|costa\w+|parenchyme pulm\w*|bronch\w+|"
        r"cardiomediastin\w*|apex|trachee|radiographie pulm\w*|rp\b|silhouette cardiaque|coeur|hilaires?|culs?-de-sac)\b"
    ),
)
ELSEWHERE = (
    (
        r"(?:scanner|tdm|irm|echographie|echo-?doppler|doppler|radiographies?|radios?|cliches?|tomodensitometrie|"
        r"angio-?scanner|"
        r"uroscanner|arthroscanner)[ :,-]+(?:de la |de l'|du |des |de |d'un |le |la )?(?:[a-z]+ )?(?:cerebra\w*|crane|"
        r"cranio\w*|"
        r"encephal\w*|abdom\w*|pelvi\w*|rachis|lombaire|cervical\w*|genou\w*|hanche\w*|bassin|"
        r"cheville|pied\w*|poignet|main\w*|coude|epaule|femur|tibia|rena\w*|reins?|hepat\w*|sinus|massif facial|rocher\w*|"
        r"orbit\w*|prostat\w*|sein\w*|mammaire|thyroid\w*|membre\w*|jambe|doigt|scrot\w*|obstetric\w*|urinaire\w*)"
    ),
    r"asp\b|mammographie|abdomen sans preparation|intracranien\w*|coloscanner|uroscanner|arthroscanner|dacryoscanner",
)
HEADINGS = {
    "INDICATION": (
        "indication", "indications", "motif", "motif de l'examen", "motif de consultation", "motif d'hospitalisation",
        "renseignements cliniques", "renseignement clinique", "contexte", "contexte clinique", "histoire de la maladie",
        "histoire clinique", "histoire", "antecedents", "antecedent", "clinique", "donnees cliniques", "question", "question posee",
        "rc", "anamnese", "rens. clin", "rens clin", "indication clinique", "renseignements", "informations cliniques",
        "motif de la demande", "demande", "atcd", "resume clinique", "circonstances", "hypothese diagnostique", "motif et contexte",
        "indication de l'examen",
    ),
    "TITLE": (
        "technique", "techniques", "protocole", "modalites", "technique d'examen", "technique de l'examen", "conditions",
        "conditions de realisation", "procedure", "dosimetrie", "dose", "pdl", "acquisition", "acquisitions", "nature de l'examen",
        "type d'examen", "injection", "produit de contraste", "methode", "methodologie", "technique realisee", "technique utilisee",
        "realisation", "irradiation", "date", "titre", "technique et protocole", "protocole d'examen", "deroulement de l'examen",
        "incidences",
    ),
    "COMPARISON": (
        "comparaison", "comparatif", "comparaisons", "examen anterieur", "examens anterieurs", "examen comparatif",
        "examens comparatifs", "examen de comparaison", "examens precedents", "examen precedent", "examen de reference",
        "anteriorites", "anteriorite", "documents anterieurs",
    ),
    "PRELIMINARY": (
        "lecture preliminaire", "compte rendu provisoire", "compte-rendu provisoire", "premiere lecture", "resultat provisoire",
        "pre-lecture", "interpretation provisoire",
    ),
    "FINDINGS": (
        "resultat", "resultats", "description", "compte rendu", "compte-rendu", "analyse", "constatations", "lecture", "semiologie",
        "interpretation", "resultats de l'examen", "observations", "examen", "constats", "description des lesions",
    ),
    "IMPRESSION": (
        "conclusion", "conclusions", "au total", "synthese", "en resume", "en conclusion", "resume", "impression", "avis",
        "diagnostic", "en synthese", "conclusion diagnostique", "total",
    ),
    "ADDENDUM": (
        "addendum", "additif", "complement", "rectificatif", "correctif", "complement de compte rendu", "ajout", "erratum",
        "relecture", "deuxieme lecture", "seconde lecture",
    ),
    "BODY": (
        "etage thoracique", "a l'etage thoracique", "thorax", "plevre", "plevres", "espaces pleuraux", "parenchyme",
        "parenchyme pulmonaire", "poumons", "poumon", "mediastin", "coeur", "coeur et mediastin", "paroi et os", "cadre osseux",
        "autres", "materiel", "dispositifs", "os", "paroi", "etage abdominal", "abdomen", "etage abdomino-pelvien",
        "pleuro-parenchymateux", "sur le plan pleuro-parenchymateux", "scanner thoracique", "tdm thoracique",
        "radiographie thoracique", "radiographie du thorax", "radiographie pulmonaire", "radio de thorax", "radio thorax",
        "fenetre parenchymateuse", "fenetre mediastinale", "en fenetre parenchymateuse", "en fenetre mediastinale",
    ),
}  # fmt: skip
WEAK_HEADINGS = (
    "clinique", "question", "rc", "demande", "date", "dose", "injection", "conditions", "procedure", "acquisition", "acquisitions",
    "protocole", "modalites", "methode", "titre", "histoire", "antecedents", "antecedent", "renseignements", "contexte", "examen",
    "analyse", "lecture", "description", "avis", "diagnostic", "resume", "total", "complement", "ajout", "impression", "comparatif",
    "interpretation", "observations", "atcd", "relecture", "realisation", "irradiation", "incidences",
)  # fmt: skip
