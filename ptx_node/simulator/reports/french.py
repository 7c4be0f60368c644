"""Comment un radiologue rédige un scanner thoracique en français: sentences as grammars, none of them taken from a real report.

`<side>` and `<side_f>` are the side in the masculine and feminine, `<other>` and `<other_f>` the opposite one; accents are written here
and may be lost by the layout.
"""

from __future__ import annotations

from ptx_node.simulator.patient import Size

SIDES = {"right": "droit", "left": "gauche"}
SIDES_F = {"right": "droite", "left": "gauche"}

SIZES: dict[Size, tuple[str, ...]] = {
    Size.OCCULT: ("minime", "discret", "millimétrique", "infime", "très petit", "punctiforme"),
    Size.SMALL: ("petit", "minime", "faible", "modeste", "de faible abondance", "de petite taille"),
    Size.MEDIUM: ("modéré", "d'abondance modérée", "de moyenne abondance", "moyen", "d'importance moyenne"),
    Size.LARGE: ("important", "volumineux", "abondant", "de grande abondance", "étendu"),
    Size.TENSION: ("massif", "volumineux", "complet", "de très grande abondance", "majeur"),
}
PLACES: dict[Size, tuple[str, ...]] = {
    Size.OCCULT: ("antérieur", "apical", "antéro-basal", "antéro-médial", ""),
    Size.SMALL: ("antérieur", "apical", "de topographie antérieure", "du sommet", "antéro-basal", ""),
    Size.MEDIUM: ("antérieur", "apical et antérieur", "antéro-latéral", "", ""),
    Size.LARGE: ("antérieur", "antéro-latéral", "", "", ""),
    Size.TENSION: ("", "", ""),
}

RULES: dict[str, str | tuple[str, ...]] = {
    "ptx": ("pneumothorax", "pneumothorax", "pneumothorax", "pneumothorax", "PNO", "pneumothorax"),
    "nowhere": ("", "", "", "", " ce jour", " sur cet examen", " de part et d'autre", " à ce jour", " ni à droite ni à gauche"),
    "shows": (
        "Il existe un",
        "On note un",
        "Présence d'un",
        "Mise en évidence d'un",
        "On retrouve un",
        "On visualise un",
        "Visualisation d'un",
    ),
    "of_mm": "[, [mesurant |mesurant environ |de |d'environ |jusqu'à ]<measure> [d'épaisseur|d'épaisseur maximale|de décollement|]"
    "| ([épaisseur|décollement|] [de |max |]<measure>)|, décollement [maximal|] de <measure>|]",
}

POSITIVE = (
    "<shows> <ptx> <side> <place>, <size><of_mm>",
    "<shows> <ptx> <side> <size><of_mm>",
    "<ptx> <side> <place> <size><of_mm>",
    "<ptx> <size> <side><of_mm>",
    "Épanchement [gazeux|aérique] pleural <side>, <size><of_mm>",
    "Décollement [pleural |][gazeux|aérique] <side>, <size><of_mm>, [en rapport avec|correspondant à] un <ptx>",
    "Air [dans la cavité pleurale|intrapleural] <side_f>[,|] [traduisant|correspondant à|évoquant] un <ptx> <size><of_mm>",
    "Aspect [compatible avec |en faveur d'|typique d']un <ptx> <side> <size><of_mm>",
    "<ptx> <side> avec collapsus [partiel|passif] du poumon sous-jacent<of_mm>",
    "Pas de [majoration|modification|variation] du <ptx> <side>[ connu|], <size><of_mm>",
    "Persistance d'un <ptx> <side> <size><of_mm>",
    "Persistance du <ptx> <side>[ connu| déjà décrit|]<of_mm>",
    "Le <ptx> <side> [est stable|est inchangé|persiste|a légèrement diminué|s'est majoré][, <size>|]<of_mm>",
    "[Apparition|Récidive] d'un <ptx> <side> <place>, <size><of_mm>",
    "[Confirmation|Confirmation tomodensitométrique] d'un <ptx> <side> <size><of_mm>",
    "Le <ptx> <side> suspecté [sur la radiographie|au cliché du jour|sur le cliché au lit] est confirmé<of_mm>",
    "<ptx> du côté <side>, <size>[, [surtout|principalement] antérieur|]<of_mm>",
    "À <side_f>, <ptx> <size><of_mm>",
    "[Diminution|Régression partielle] du <ptx> <side>[, restant <size>|, avec lame résiduelle]<of_mm>",
)
POSITIVE_OCCULT = (
    "[Fine|Petite|Discrète] lame [d'air|gazeuse|aérique] pleurale [antérieure|antéro-basale|] <side_f>, soit un <ptx> minime<of_mm>",
    "[Minime|Discret] <ptx> <side>, [peu|non|difficilement] visible sur la radiographie [du jour|]",
    "[Quelques|Rares] bulles [d'air|gazeuses] intrapleurales <side_p> [en rapport avec|traduisant] un [minime|petit] <ptx>",
)
POSITIVE_TENSION = (
    "<ptx> <side> [compressif|suffocant|sous tension], avec [déviation|refoulement] du médiastin vers la <other_f>",
    "[Volumineux|Massif] <ptx> <side> avec collapsus [complet|total] du poumon[ et déviation médiastinale|]",
    "Collapsus pulmonaire <side> complet par un <ptx> [compressif|massif]",
)
POSITIVE_DRAINED = (
    "<ptx> <side> résiduel <size> [malgré le drain|drain en place|après drainage]<of_mm>",
    "Drain pleural <side> [bien positionné|en place]; persistance d'un <ptx> <size><of_mm>",
    "Lame de <ptx> <side> persistante [malgré le|sous] drainage<of_mm>",
)
POSITIVE_FLUID = (
    "Hydropneumothorax <side>[ avec niveau hydro-aérique|], <size><of_mm>",
    "Épanchement [mixte|hydro-aérique] pleural <side>: hydro-pneumothorax <size>",
    "[Hydro-pneumothorax|Hydropneumothorax] <side>[, niveau liquide postérieur|]",
)
POSITIVE_BOTH = (
    "<ptx> bilatéral, prédominant à <larger>[, de <measure>|]",
    "[Présence d'un|Il existe un] <ptx> bilatéral[, plus marqué à <larger>|]",
    "Décollement gazeux pleural bilatéral, [plus important|prédominant] à <larger>",
)
POSITIVE_SHORT = (
    "<ptx> <side> <place> <size>",
    "<ptx> <side> <size>[ (<measure>)|, <measure>|]",
    "[Confirmation du|Persistance du] <ptx> <side>",
    "[Présence d'un |]<ptx> <side>[, <size>|]",
    "<ptx> <side> [stable|inchangé|résiduel]",
    "Épanchement gazeux pleural <side>, <size>",
    "<ptx> <side> à [surveiller|contrôler]",
)
POSITIVE_BOTH_SHORT = ("<ptx> bilatéral[, prédominant à <larger>|]", "<ptx> [droit et gauche|des deux côtés]")

REST_OTHER = ("Pas de <ptx> [<other>|controlatéral|à <other_f>]", "Absence de <ptx> <other>")
REST_MILD = (
    "Pas de [signe de compression|caractère compressif|déviation médiastinale]",
    "Médiastin en place",
    "Sans [signe de gravité|refoulement médiastinal]",
)
REST_COLLAPSED = ("Collapsus [partiel|passif] du poumon <side>", "Le poumon <side> est partiellement collabé")

NEGATIVE_CLEAN = (
    "Pas d'épanchement pleural [ni|ou] de <ptx><nowhere>",
    "Ni épanchement [pleural |]ni <ptx><nowhere>",
    "Absence d'épanchement pleural [liquidien ou gazeux, pas de|et de] <ptx><nowhere>",
    "[Absence de|Pas de] <ptx> [ni d'|ou d']épanchement [pleural|liquidien]",
    "Pas d'épanchement [liquidien |]pleural, pas de <ptx><nowhere>",
    "Plèvre libre, sans épanchement ni <ptx><nowhere>",
    "Espaces pleuraux [libres|sans anomalie]: ni épanchement, ni <ptx><nowhere>",
)
NEGATIVE_CLEAR = (
    "Pas de [condensation|foyer], d'épanchement [ni|ou] de <ptx><nowhere>",
    "Ni foyer, ni épanchement, ni <ptx><nowhere>",
    "[Absence de|Pas de] foyer [parenchymateux |]et pas de <ptx><nowhere>",
)
NEGATIVE_FOLD = (
    "L'image [linéaire|suspecte] de la radiographie correspond à un pli cutané, pas de <ptx>",
    "Pli cutané [simulant|à l'origine de la suspicion], absence de <ptx>",
)
NEGATIVE = (
    "Pas de <ptx><nowhere>",
    "Absence de <ptx>[ décelable| visible|]",
    "Pas d'argument [pour |en faveur d']un <ptx><nowhere>",
    "Pas de <ptx> [visible|décelable|décelé|individualisé|retrouvé|mis en évidence]",
    "On ne [retrouve pas|visualise pas|met pas en évidence] de <ptx><nowhere>",
    "Il n'y a pas de <ptx><nowhere>",
    "Il n'existe pas de <ptx>[ droit ni gauche|]",
    "Aucun <ptx>[ décelable| visible|]",
    "Aucun signe de <ptx><nowhere>",
    "Pas d'épanchement [gazeux|aérique] pleural, pas de <ptx><nowhere>",
    "Poumons à la paroi, sans <ptx><nowhere>",
    "[Le diagnostic de <ptx>|Un <ptx>] est [éliminé|exclu|écarté]",
    "Pas de <ptx>, [pas de|ni] pneumomédiastin",
    "<ptx>: [non|absent|absence]",
    "Pas de <ptx> [post-traumatique|iatrogène|antérieur|occulte]",
    "Le <ptx> suspecté n'est pas confirmé",
    "Sans <ptx>[ visible|]",
)
NEGATIVE_BULLA = (
    "[L'hyperclarté|L'image claire] [du sommet|du poumon] <bulla> correspond à une bulle, pas de <ptx>",
    "Bulle <bulla_f> [simulant un|à ne pas confondre avec un] <ptx>, [sans|pas de] <ptx> vrai",
)
NEGATIVE_TUBE = (
    "Drain [pleural|thoracique] <tube> [en place|bien positionné], sans <ptx>",
    "Pas de <ptx> [sous drainage|drain en place]",
)
NEGATIVE_SHORT = (
    "Pas de <ptx><nowhere>",
    "Absence de <ptx><nowhere>",
    "Pas d'anomalie aiguë, [notamment pas de|en particulier pas de|pas de] <ptx><nowhere>",
    "<ptx> [éliminé|exclu]",
    "Pas d'argument pour un <ptx><nowhere>",
    "Pas de <ptx> [post-traumatique|iatrogène|]",
)

UNCERTAIN = (
    "Un [minime|petit|discret] <ptx> <side> ne peut [être exclu|être formellement exclu|être éliminé|pas être exclu]",
    "[Possible|Probable|Éventuel] [minime |petit |]<ptx> <side> <place>",
    "Doute sur un [minime|petit|discret] <ptx> <side>",
    "[Fine|Discrète] hyperclarté [antérieure|apicale] <side_f>, pouvant correspondre à un [minime|petit] <ptx>",
    "On ne peut [exclure|éliminer|écarter] un [minime|petit] <ptx> <side>",
    "[Artéfacts respiratoires|Artefacts de mouvement] ne permettant pas d'[éliminer|exclure] un [minime|petit] <ptx> <side>",
    "Image [équivoque|douteuse] [antérieure|apicale] <side_f>: [minime <ptx>|<ptx> minime] [non exclu|à discuter|possible]",
    "Suspicion de [minime|petit] <ptx> <side>[, à contrôler|]",
    "[Bulle|Blèb|Bulle sous-pleurale] <side_f> ou [minime|petit] <ptx>, diagnostic différentiel difficile",
    "[Minime|Petit] <ptx> <side> [?|à discuter|non formellement exclu]",
    "Le diagnostic de <ptx> <side> reste incertain",
)
UNCERTAIN_SHORT = (
    "Doute sur un [minime|petit] <ptx> <side>[, contrôle conseillé| à contrôler|]",
    "Possible [minime |]<ptx> <side>",
    "[Minime|Petit] <ptx> <side> non exclu",
    "Un <ptx> <side> minime ne peut être éliminé",
)

RESOLVED = (
    "Disparition [complète |totale |]du <ptx> <side>",
    "[Résolution|Régression complète|Résorption complète|Résorption] du <ptx> <side>",
    "Le <ptx> <side> [connu|précédemment décrit|décrit antérieurement] a [disparu|complètement régressé|totalement disparu]",
    "Le <ptx> <side> n'est plus visible",
    "On ne retrouve plus le <ptx> <side>[ décrit précédemment| connu|]",
    "Retour du poumon <side> à la paroi, avec disparition du <ptx>",
    "[Antécédent|ATCD] de <ptx> <side>[ drainé| traité|], poumon à la paroi",
    "[Ré-expansion|Réexpansion] complète du poumon <side> après drainage d'un <ptx>",
    "Ancien <ptx> <side> [résorbé|résolu]",
    "Évacuation complète du <ptx> <side>",
)
RESOLVED_SHORT = (
    "Disparition du <ptx> <side>",
    "<ptx> <side> résolu",
    "Régression complète du <ptx> <side>",
    "Résorption du <ptx> <side>[ connu|]",
)

TITLES = (
    "Scanner thoracique",
    "TDM thoracique",
    "TDM THORACIQUE",
    "SCANNER DU THORAX",
    "Tomodensitométrie thoracique",
    "TDM thoracique [sans|avec] injection",
)
INDICATION = (
    "[Douleur thoracique|Dyspnée|Désaturation|Toux|Fièvre|Hémoptysie|Altération de l'état général]",
    "[Traumatisme|Chute|AVP|Traumatisme thoracique|Fractures de côtes]",
    "[Suivi|Bilan d'extension|Bilan préopératoire|Surveillance|Contrôle]",
    "[Après|Suites de] [pose de voie centrale|biopsie pulmonaire|chirurgie thoracique|ablation de drain]",
    "<person> de <age> ans, [douleur thoracique|dyspnée|dyspnée aiguë|toux]",
)
INDICATION_ASKED = (
    "<ptx> ?",
    "?<ptx>",
    "Recherche de <ptx>",
    "Suspicion de <ptx>[ à la radiographie| sur la RP|]",
    "[Dyspnée|Douleur thoracique|Désaturation], <ptx> ?",
    "[Éliminer|Exclure] un <ptx>",
    "Doute sur un <ptx> [droit |gauche |]sur le cliché [au lit|du jour|]",
    "[Traumatisme|AVP|Chute], [recherche de|éliminer un] <ptx>",
    "Contrôle après [biopsie|ponction|pose de VVC], <ptx> ?",
)
INDICATION_KNOWN = (
    "[Suivi|Contrôle|Évolution] d'un <ptx> <side>",
    "<ptx> <side> [connu|drainé], évolution ?",
    "ATCD de <ptx>[ spontané|]",
    "Bilan d'un <ptx> <side>",
)
TECHNIQUE = (
    "Acquisition [hélicoïdale|volumique|spiralée] [sans|avec|après] injection [d'iode|], coupes de [1|1,25|2|2,5|3] mm",
    "[Scanner|TDM] thoracique [sans injection|sans IV|injecté|basse dose][, reconstructions MPR|, filtres médiastinal et parenchymateux|]",
    "Acquisition des apex [aux bases|aux surrénales] en [inspiration|décubitus dorsal]",
)
COMPARISON = (
    "[Aucun |Pas d']examen antérieur[ disponible|]",
    "Radiographie [du jour|de ce jour|du même jour|de ce matin]",
    "[TDM|Scanner|Radiographie] du <date>",
)
COMPARISON_TELLS = (
    "Radiographie [du jour|de ce matin] [faisant suspecter un|avec doute sur un] <ptx>",
    "[TDM|Scanner] du <date> [montrant un|retrouvant un] [petit |minime |]<ptx> [droit|gauche]",
)

NO_EFFUSION = ("Pas d'épanchement pleural[ liquidien|]", "Absence d'hémothorax", "Pas d'épanchement liquidien")
LUNGS_CLEAR = (
    "[Pas de foyer|Absence de foyer|Aucun foyer][ parenchymateux| de condensation|]",
    "[Parenchyme pulmonaire|Poumons] [sans anomalie|d'aspect normal]",
    "Pas de foyer infectieux[ systématisé|]",
)
LUNGS = (
    "[Troubles ventilatoires|Atélectasies|Bandes d'atélectasie] [des bases|postéro-basaux|déclives]",
    "[Micronodule|Nodule] de [2|3|4|5|6] mm du lobe [supérieur droit|inférieur droit|inférieur gauche|moyen][, aspécifique|]",
    "Emphysème [centro-lobulaire|paraseptal|][ des sommets| modéré|]",
    "Pas de nodule [suspect|pulmonaire suspect]",
)
CONSOLIDATION = (
    "[Condensation|Foyer de condensation|Foyer] du lobe <lobe> <consolidation>[, avec bronchogramme aérien|, évoquant une pneumopathie|]",
    "Pneumopathie du lobe <lobe> <consolidation>",
)
EFFUSION = (
    "Épanchement pleural [liquidien |]<effusion>[, de <fluid> mm d'épaisseur|, de faible abondance|, libre|]",
    "[Lame d'épanchement|Lame liquidienne] pleurale <effusion_f>",
)
EFFUSION_BOTH = (
    "Épanchement pleural liquidien bilatéral[, de faible abondance|]",
    "[Petits|Minimes] épanchements pleuraux liquidiens bilatéraux",
)
BULLA = (
    "[Bulle|Grosse bulle|Bulle à paroi fine] [apicale|sous-pleurale|] <bulla_f>",
    "Emphysème bulleux, [prédominant|surtout] à <bulla_f>",
)
TUBE = (
    "Drain [pleural|thoracique] <tube>[ en place|, extrémité [apicale|antérieure|postérieure]|]",
    "[Drain|Pleurocath|Drain en queue de cochon] <tube> en place",
)
SUBCUTANEOUS = (
    "Emphysème sous-cutané [de la paroi thoracique|pariétal] <emphysema>",
    "[Air|Gaz] dans les parties molles de la paroi <emphysema_f>",
)
DEVICES = {
    "line": ("[Voie veineuse centrale|VVC|Cathéter central] dont l'extrémité est dans la veine cave supérieure", "KT central en place"),
    "tracheal_tube": ("Sonde d'intubation [en place|à <above> cm de la carène|]", "Patient intubé"),
    "gastric_tube": ("Sonde [gastrique|nasogastrique] en place", "SNG dans l'estomac"),
    "pacemaker": ("[Pacemaker|Stimulateur cardiaque] avec sondes [dans les cavités droites|en place]",),
}
MEDIASTINUM = (
    "Pas d'adénopathie [médiastinale|hilaire|médiastino-hilaire|]",
    "[Cœur|Silhouette cardiaque] [de taille normale|de volume normal]",
    "Pas d'épanchement péricardique",
    "Pas de pneumomédiastin",
    "Aorte [thoracique |]de calibre normal[, athéromateuse|]",
    "[Trachée et bronches souches libres|Axes aériens proximaux libres]",
    "Calcifications coronaires[ modérées|]",
)
BONES = (
    "Pas de [fracture|lésion osseuse suspecte|fracture costale]",
    "Discopathies [dorsales|étagées]",
    "[Cal|Séquelle] de fracture costale[ à droite| à gauche|]",
    "Étage abdominal [supérieur |]sans particularité[ sur les coupes réalisées|]",
    "Pas de pneumopéritoine",
)
IMPRESSION_PLAIN = (
    "Pas d'anomalie [aiguë|significative|notable]",
    "[Scanner thoracique|Examen] [normal|sans anomalie]",
    "Pas de lésion [pulmonaire|thoracique] [évolutive|suspecte]",
)
CLOSING = (
    "Résultats [transmis|communiqués] [au service|par téléphone|à l'équipe]",
    "Compte rendu [provisoire|dicté et relu|validé]",
    "Compte rendu SIMULÉ",
)

HEADINGS = {
    "indication": ("Indication", "Motif", "Renseignements cliniques", "Contexte", "Motif de l'examen"),
    "technique": ("Technique", "Protocole", "Modalités"),
    "comparison": ("Comparaison", "Examens antérieurs", "Comparatif"),
    "findings": ("Résultats", "Résultat", "Description", "Compte rendu"),
    "impression": ("Conclusion", "Au total", "Synthèse", "En résumé"),
}
TOPICS = {
    "pleura": ("Plèvre", "Espaces pleuraux"),
    "lungs": ("Parenchyme", "Poumons"),
    "middle": ("Médiastin", "Cœur et médiastin"),
    "wall": ("Paroi et os", "Cadre osseux", "Autres"),
    "devices": ("Matériel", "Dispositifs"),
}
LOBES = {"upper": "supérieur", "middle": "moyen", "lower": "inférieur"}
BOTH = "bilatéral"
ABBREVIATIONS = ((" avec ", " av "), ("pneumothorax", "PNO"), ("droit", "D"), ("gauche", "G"), ("sans ", "ss "))
