"""Names of organs in the languages of those who draw them, as structure sets have them."""

import pytest

from recontour.organs import known_organs, match_names, organ_of
from recontour.organs.table import organs
from recontour.organs.vocabulary import key_of, names_canal

# language -> organ, or organ without its side -> names
NAMES = {
    "de": {
        "Brainstem": "Hirnstamm, Stammhirn",
        "SpinalCord": "Rückenmark, Myelon",
        "SpinalCanal": "Spinalkanal, Wirbelkanal, Rückenmarkskanal, Rückenmarkkanal",
        "Bone_Mandible": "Unterkiefer, Unterkieferknochen",
        "Pituitary": "Hypophyse, Hirnanhangsdrüse, Hirnanhangdrüse",
        "Larynx": "Kehlkopf",
        "Larynx_SG": "Supraglottischer Larynx, Larynx supraglottisch",
        "Esophagus": "Speiseröhre, Ösophagus",
        "OpticChiasm": "Sehnervenkreuzung, Sehnervkreuzung",
        "Brain": "Gehirn, Hirn",
        "Cerebellum": "Kleinhirn",
        "Cavity_Oral": "Mundhöhle",
        "Lips": "Lippen, Lippe",
        "Glnd_Thyroid": "Schilddrüse",
        "Trachea": "Luftröhre",
        "Tongue": "Zunge",
        "Pharynx": "Rachen",
        "Musc_Constrict": "Pharynxkonstriktor, Pharynxkonstriktoren, Konstriktoren",
        "Heart": "Herz",
        "Parotid": "Ohrspeicheldrüse",
        "Lens": "Linse, Augenlinse",
        "OpticNrv": "Sehnerv",
        "Lobe_Temporal": "Temporallappen, Schläfenlappen",
        "Eye": "Auge, Augapfel",
        "Cochlea": "Hörschnecke",
        "Hippocampus": "Hippokampus",
        "Glnd_Submand": "Unterkieferspeicheldrüse, Unterkieferdrüse",
        "Glnd_Lacrimal": "Tränendrüse",
        "Joint_TM": "Kiefergelenk",
        "Lung": "Lunge, Lungenflügel",
    },
    "la": {
        "Brainstem": "Truncus encephali, Truncus cerebri",
        "SpinalCord": "Medulla spinalis",
        "SpinalCanal": "Canalis spinalis, Canalis vertebralis",
        "Bone_Mandible": "Mandibula",
        "Pituitary": "Hypophysis",
        "OpticChiasm": "Chiasma, Chiasma opticum",
        "Cavity_Oral": "Cavum oris, Cavitas oris",
        "Glnd_Thyroid": "Glandula thyroidea, Glandula thyreoidea",
        "Musc_Constrict": "Musculus constrictor pharyngis, M. constrictor pharyngis",
        "Parotid": "Parotis, Glandula parotis, Glandula parotidea, Gl. parotis, Gl. parotidea",
        "Lens": "Lens",
        "OpticNrv": "Nervus opticus, N. opticus, Opticus",
        "Lobe_Temporal": "Lobus temporalis",
        "Eye": "Bulbus, Bulbus oculi",
        "Glnd_Submand": "Submandibularis, Glandula submandibularis, Gl. submandibularis",
        "Glnd_Lacrimal": "Lacrimalis, Glandula lacrimalis",
        "Lung": "Pulmo",
    },
    "nl": {
        "Brainstem": "Hersenstam",
        "SpinalCord": "Ruggenmerg, Myelum",
        "SpinalCanal": "Wervelkanaal, Spinaal kanaal, Ruggenmergkanaal, Ruggenmergskanaal",
        "Bone_Mandible": "Onderkaak",
        "Pituitary": "Hypofyse",
        "Larynx": "Strottenhoofd",
        "Larynx_SG": "Supraglottische larynx",
        "Esophagus": "Slokdarm, Oesofagus",
        "OpticChiasm": "Optisch chiasma",
        "Brain": "Hersenen",
        "Cerebellum": "Kleine hersenen",
        "Cavity_Oral": "Mondholte",
        "Lips": "Lippen",
        "Glnd_Thyroid": "Schildklier",
        "Trachea": "Luchtpijp",
        "Tongue": "Tong",
        "Pharynx": "Farynx, Keelholte",
        "Musc_Constrict": "Pharynxconstrictor, Pharynxconstrictoren",
        "Heart": "Hart",
        "Parotid": "Oorspeekselklier",
        "Lens": "Ooglens",
        "OpticNrv": "Oogzenuw",
        "Lobe_Temporal": "Temporaalkwab, Temporale kwab, Slaapkwab",
        "Eye": "Oog, Oogbol",
        "Cochlea": "Slakkenhuis",
        "Glnd_Submand": "Onderkaakspeekselklier",
        "Glnd_Lacrimal": "Traanklier",
        "Joint_TM": "Kaakgewricht",
        "Lung": "Long",
    },
    "es": {
        "Brainstem": "Tronco, Tronco encefálico, Tronco cerebral, Tronco del encéfalo, "
        "Tallo cerebral, Tallo encefálico",
        "SpinalCord": "Médula, Médula espinal",
        "SpinalCanal": "Canal medular, Canal espinal, Canal raquídeo, Conducto raquídeo",
        "Bone_Mandible": "Maxilar inferior",
        "Pituitary": "Hipófisis, Pituitaria, Glándula pituitaria",
        "Larynx": "Laringe",
        "Larynx_SG": "Laringe supraglótica",
        "Esophagus": "Esófago",
        "OpticChiasm": "Quiasma, Quiasma óptico",
        "Brain": "Cerebro, Encéfalo",
        "Cerebellum": "Cerebelo",
        "Cavity_Oral": "Cavidad oral, Cavidad bucal",
        "Lips": "Labios",
        "Glnd_Thyroid": "Tiroides, Glándula tiroides",
        "Trachea": "Tráquea",
        "Tongue": "Lengua",
        "Pharynx": "Faringe",
        "Musc_Constrict": "Constrictor faríngeo, Constrictores faríngeos, Constrictores",
        "Heart": "Corazón",
        "Parotid": "Parótida, Glándula parótida",
        "Lens": "Cristalino, Lente",
        "OpticNrv": "Nervio óptico, N. óptico",
        "Lobe_Temporal": "Lóbulo temporal",
        "Eye": "Ojo, Globo ocular",
        "Cochlea": "Cóclea",
        "Hippocampus": "Hipocampo",
        "Glnd_Submand": "Submandibular, Submaxilar, Glándula submandibular, Glándula submaxilar",
        "Glnd_Lacrimal": "Lagrimal, Glándula lagrimal",
        "Joint_TM": "ATM, Articulación temporomandibular",
        "Lung": "Pulmón",
    },
    "pt": {
        "Brainstem": "Tronco, Tronco encefálico, Tronco cerebral, Tronco do encéfalo",
        "SpinalCord": "Medula, Medula espinal, Medula espinhal",
        "SpinalCanal": "Canal medular, Canal espinhal, Canal raquidiano",
        "Pituitary": "Hipófise, Pituitária, Glândula pituitária",
        "Larynx": "Laringe",
        "Larynx_SG": "Laringe supraglótica",
        "Esophagus": "Esôfago",
        "OpticChiasm": "Quiasma, Quiasma óptico",
        "Brain": "Cérebro, Encéfalo",
        "Cerebellum": "Cerebelo",
        "Cavity_Oral": "Cavidade oral, Cavidade bucal",
        "Lips": "Lábios",
        "Glnd_Thyroid": "Tireoide, Tiroide, Glândula tireoide",
        "Trachea": "Traqueia",
        "Tongue": "Língua",
        "Pharynx": "Faringe",
        "Musc_Constrict": "Constritor da faringe, Constritores da faringe, Constritores",
        "Heart": "Coração",
        "Parotid": "Parótida, Glândula parótida",
        "Lens": "Cristalino, Lente",
        "OpticNrv": "Nervo óptico, N. óptico",
        "Lobe_Temporal": "Lobo temporal",
        "Eye": "Olho, Globo ocular",
        "Cochlea": "Cóclea",
        "Hippocampus": "Hipocampo",
        "Glnd_Submand": "Submandibular, Glândula submandibular",
        "Glnd_Lacrimal": "Lacrimal, Glândula lacrimal",
        "Joint_TM": "ATM, Articulação temporomandibular",
        "Lung": "Pulmão",
    },
    "it": {
        "Brainstem": "Tronco, Tronco encefalico, Tronco cerebrale, Tronco dell'encefalo",
        "SpinalCord": "Midollo, Midollo spinale",
        "SpinalCanal": "Canale spinale, Canale midollare, Canale vertebrale, Speco vertebrale",
        "Bone_Mandible": "Mandibola",
        "Pituitary": "Ipofisi, Ghiandola pituitaria",
        "Larynx": "Laringe",
        "Larynx_SG": "Laringe sopraglottica, Laringe sovraglottica",
        "Esophagus": "Esofago",
        "OpticChiasm": "Chiasma ottico",
        "Brain": "Cervello, Encefalo",
        "Cerebellum": "Cervelletto",
        "Cavity_Oral": "Cavo orale, Cavità orale",
        "Lips": "Labbra",
        "Glnd_Thyroid": "Tiroide, Ghiandola tiroide",
        "Tongue": "Lingua",
        "Pharynx": "Faringe",
        "Musc_Constrict": "Costrittore faringeo, Costrittori faringei, Costrittori",
        "Heart": "Cuore",
        "Parotid": "Parotide, Ghiandola parotide",
        "Lens": "Cristallino, Lente",
        "OpticNrv": "Nervo ottico, N. ottico",
        "Lobe_Temporal": "Lobo temporale",
        "Eye": "Occhio, Globo oculare, Bulbo oculare",
        "Cochlea": "Coclea",
        "Hippocampus": "Ippocampo",
        "Glnd_Submand": "Sottomandibolare, Sottomascellare, Ghiandola sottomandibolare",
        "Glnd_Lacrimal": "Lacrimale, Ghiandola lacrimale",
        "Joint_TM": "ATM, Articolazione temporomandibolare",
        "Lung": "Polmone",
    },
    "zh": {
        "Brainstem": "脑干, 腦幹",
        "SpinalCord": "脊髓",
        "SpinalCanal": "椎管",
        "Bone_Mandible": "下颌骨, 下颌, 下頜骨",
        "Pituitary": "垂体, 脑垂体, 垂體, 腦下垂體",
        "Larynx": "喉, 喉部",
        "Larynx_SG": "声门上喉",
        "Esophagus": "食管, 食道",
        "OpticChiasm": "视交叉, 视神经交叉, 視交叉",
        "Brain": "脑, 全脑, 腦",
        "Cerebellum": "小脑, 小腦",
        "Cavity_Oral": "口腔",
        "Lips": "嘴唇, 唇",
        "Glnd_Thyroid": "甲状腺, 甲狀腺",
        "Trachea": "气管, 氣管",
        "Tongue": "舌, 舌头",
        "Pharynx": "咽, 咽部",
        "Musc_Constrict": "咽缩肌",
        "Heart": "心脏, 心, 心臟",
        "Parotid": "腮腺",
        "Lens": "晶状体, 晶体, 眼晶体, 眼晶状体, 水晶体, 晶狀體, 水晶體",
        "OpticNrv": "视神经, 視神經",
        "Lobe_Temporal": "颞叶, 顳葉",
        "Eye": "眼, 眼球, 眼睛",
        "Cochlea": "耳蜗, 耳蝸",
        "Hippocampus": "海马, 海马体, 海馬",
        "Glnd_Submand": "颌下腺, 下颌下腺, 頜下腺",
        "Glnd_Lacrimal": "泪腺, 淚腺",
        "Joint_TM": "颞下颌关节, 颞颌关节",
        "Lung": "肺",
    },
}
# The sides as each language writes them with any of its names.
SIDES = {
    "de": {"L": ["li", "links", "L"], "R": ["re", "rechts", "R"]},
    "la": {"L": ["sinistra", "sin", "L", "li"], "R": ["dextra", "dex", "R", "re"]},
    "nl": {"L": ["li", "links", "linker"], "R": ["re", "rechts", "rechter"]},
    "es": {"L": ["izquierda", "izquierdo", "izq", "izda"], "R": ["derecha", "derecho", "der", "D"]},
    "pt": {"L": ["esquerda", "esquerdo", "esq", "E"], "R": ["direita", "direito", "dir", "D"]},
    "it": {"L": ["sinistra", "sinistro", "sx", "sin"], "R": ["destra", "destro", "dx"]},
    "zh": {"L": ["左", "左侧", "L", "(左)"], "R": ["右", "右侧", "R", "\uff08右\uff09"]},
}
ROWS = [
    (language, organ, name)
    for language, rows in NAMES.items()
    for organ, names in rows.items()
    for name in names.split(", ")
]


def organ_called(roi_name: str) -> str | None:
    return match_names([roi_name]).rows[0].tg263


def written_out(name: str) -> str:
    """A name without umlauts, as older planning systems need it."""
    for letter, letters in {"ä": "ae", "ö": "oe", "ü": "ue", "Ö": "Oe"}.items():
        name = name.replace(letter, letters)
    return name


@pytest.mark.parametrize(("language", "organ", "name"), ROWS)
def test_an_organ_is_known_by_its_name(language: str, organ: str, name: str) -> None:
    spellings = [name, name.upper(), name.replace(" ", "_"), f" {name}"]
    if language == "de":
        spellings += [written_out(name), written_out(name).upper()]
    for spelling in spellings:
        if organ in known_organs():
            assert organ_called(spelling) == organ
            continue
        assert match_names([spelling]).rows[0].status == "ambiguous"
        for side, words in SIDES[language].items():
            for word in words:
                assert organ_called(f"{word} {spelling}") == f"{organ}_{side}"
                assert organ_called(f"{spelling}_{word}") == f"{organ}_{side}"


def test_every_spelling_of_the_table_is_tested() -> None:
    tested = {(language, organ, key_of(name)) for language, organ, name in ROWS}
    for organ in organs().values():
        for spelling in organ.spellings:
            if spelling.language in NAMES:
                assert (spelling.language, organ.group, key_of(spelling.words)) in tested


def test_no_name_of_one_language_is_another_organ_s_in_another() -> None:
    organ_by_key: dict[str, str] = {}
    for _, organ, name in ROWS:
        assert organ_by_key.setdefault(key_of(name), organ) == organ, name


@pytest.mark.parametrize(
    ("name", "organ"),
    [
        ("Ohrspeicheldruese li", "Parotid_L"),
        ("OHRSPEICHELDRUESE_RECHTS", "Parotid_R"),
        ("Ohrspeicheldruse re.", "Parotid_R"),
        ("Linke Ohrspeicheldrüse", "Parotid_L"),
        ("linker Sehnerv", "OpticNrv_L"),
        ("rechtes Auge", "Eye_R"),
        ("N.opticus re", "OpticNrv_R"),
        ("Nervus_opticus_links", "OpticNrv_L"),
        ("Parotis_dex", "Parotid_R"),
        ("Parotid links", "Parotid_L"),
        ("RUECKENMARK", "SpinalCord"),
        ("Rückenmark", "SpinalCord"),  # an umlaut of two characters
        ("Oog_li", "Eye_L"),
        ("Long_R", "Lung_R"),
        ("Glandula parotis rechts", "Parotid_R"),
        ("NERVIO OPTICO DERECHO", "OpticNrv_R"),
        ("Ojo_izq", "Eye_L"),
        ("Glândula Submandibular Esquerda", "Glnd_Submand_L"),
        ("PULMAO_E", "Lung_L"),
        ("Nervo ottico dx", "OpticNrv_R"),
        ("PAROTIDE SX", "Parotid_L"),
        ("左腮腺", "Parotid_L"),
        ("腮腺左", "Parotid_L"),
        ("腮腺L", "Parotid_L"),
        ("R腮腺", "Parotid_R"),
        ("腮腺\uff08右\uff09", "Parotid_R"),
        ("右侧晶状体", "Lens_R"),
        ("左眼", "Eye_L"),
    ],
)
def test_habits_of_centres(name: str, organ: str) -> None:
    assert organ_called(name) == organ


@pytest.mark.parametrize(
    "name",
    [
        # false friends
        "Medulla",  # may be the oblongata
        "Medulla oblongata",
        "Médula ósea",
        "Midollo osseo",
        "Oberkiefer",
        "Maxilar",
        "Kiefer",
        "Großhirn",
        "大脑",
        "Gezichtszenuw links",  # the facial nerve
        "Tractus opticus li",
        "Schildknorpel",
        "甲状软骨",
        "Nebenschilddrüse",
        "甲状旁腺",
        "Zungengrund",
        "舌根",
        "咽喉",
        "下咽",
        "眼眶",
        "Augenhöhle li",
        "Innenohr re",
        "内耳",
        "Tränensack li",
        "Saco lagrimal D",
        "Corda vocale sx",
        "Tronco celiaco",
        "Corpo calloso",
        "垂体柄",
        "Lense",  # no left lens in Portuguese
        "OLHOE",
        "Parotida sin",  # without, in Spanish
        "Kanal",
        # what is drawn around an organ, or is a part of it
        "Rückenmark+5mm",
        "Rueckenmark 5mm",
        "Rückenmark 5",
        "RückenmarkPRV",
        "RUECKENMARKPRV",
        "PRV_Hirnstamm",
        "Hirnstamm_PRV03",
        "Hirnstamm Sicherheitssaum",
        "Myelum_prv",
        "Médula + margen",
        "Medula PRV",
        "MIDOLLO_PRV5",
        "Parotis li ohne PTV",
        "脊髓PRV",
        "脊髓+5mm",
        "脊髓5mm",
        "脊髓外扩",
        "脑干外放3mm",
        "脊髓计划危及区",
    ],
)
def test_what_only_resembles_an_organ_is_left_out(name: str) -> None:
    assert match_names([name]).rows[0].status == "ignored"


@pytest.mark.parametrize("language", NAMES)
def test_a_canal_is_no_cord(language: str) -> None:
    for name in NAMES[language]["SpinalCanal"].split(", "):
        assert names_canal(name)
        assert organ_called(name) == "SpinalCanal"
    for name in NAMES[language]["SpinalCord"].split(", "):
        assert not names_canal(name)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("Rückenmark+5mm", "with a margin"),
        ("Médula margen", "with a margin"),
        ("脊髓外扩5mm", "with a margin"),
        ("靶区1", "a target"),
        ("Zielvolumen", "a target"),
        ("体表", "outline"),
        ("Außenkontur", "outline"),
    ],
)
def test_the_reason_is_found_in_other_languages(name: str, what: str) -> None:
    assert what in match_names([name]).rows[0].reason.sentence()


def test_sides_of_names_are_those_of_the_organs() -> None:
    for _, organ, _ in ROWS:
        assert organ in known_organs() or organ_of(f"{organ}_L").twin == f"{organ}_R"
