"""The manual pages say what the programs do: every statement, command, option and event is in them, and nothing that is not there."""
import functools
import re
import shutil
import subprocess

import pytest

from harness.ca import CA
from harness.daemon import BIN, SRC, check

PAGES = ("smarthostd.8", "smarthostd.conf.5", "relayctl.8", "smarthost-sendmail.8")
STRING = r'"(?:[^"\\]|\\.)*"'


# ---- the pages

@functools.cache
def source(page):
    return (SRC / "man" / page).read_text()


@functools.cache
def sections(page):
    """{title: its lines}"""
    out, lines = {}, []
    for line in source(page).split("\n"):
        if line.startswith(".Sh "):
            lines = out[line[4:]] = []
        else:
            lines.append(line)
    return out


def plain(line):
    """A line of mdoc as words: the macros cut off, the escapes undone."""
    if line.startswith("."):
        line = " ".join(w for w in line[1:].split() if not re.fullmatch(r"[A-Z][a-z]", w))
    return line.replace(r"\&", "").replace(r"\(dq", '"').replace(r"\e", "\\")


@functools.cache
def entries(page, title, macro="Ic"):
    """{name: text} of the items of a section; items that follow each other share what is below them."""
    out, heads, text, open_heads = {}, [], [], False
    for line in sections(page)[title] + [".El"]:
        g = re.match(rf"\.It {macro} (.*)", line)
        if (g and not open_heads) or re.match(r"\.(El|Ss)\b", line):
            for h in heads:
                out[h] = " ".join(text)
            heads, text = [], []
        if g:
            heads += [w.strip(" ,") for w in g.group(1).split(" , ")] if macro == "Sy" else [g.group(1)]
        open_heads = bool(g)
        text.append(plain(line))
    return out


@pytest.mark.parametrize("page", PAGES)
def test_page_is_well_formed_mdoc(page):
    r = subprocess.run(["mandoc", "-Tlint", "-W", "warning", str(SRC / "man" / page)], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout


# ---- smarthostd.conf(5) and the tables of directives

class Row:
    def __init__(self, text):
        g = re.match(rf'\{{ "([^"]+)",\s*((?:{STRING}\s*)+),\s*(ARG_\w+),\s*(NOW|LATER),', text)
        assert g, text
        self.name, self.now = g.group(1), g.group(4) == "NOW"
        for key, pattern in (("default", rf"\.deflt = ({STRING})"), ("block", r"\.block = (\w+)"), ("choices", r"\.choices = (\w+)")):
            g = re.search(pattern, text)
            setattr(self, key, g and g.group(1).strip('"'))


@functools.cache
def tables():
    """{context: its rows}, {name: [(choice, now)]} of src/conf."""
    rows, names, choices = {}, {}, {}
    for path in sorted((SRC / "src/conf").glob("*.c")):
        text = path.read_text()
        for var, body in re.findall(r"const struct conf_directive (\w+)\[\] = \{\n(.*?)\n\};", text, re.S):
            parts = [p for p in re.split(r'(?m)^(?=\{ ")', body) if p.startswith("{")]
            rows[path, var] = [Row(p) for p in parts]
        for table, var in re.findall(rf"const struct conf_table (\w+) = \{{\s*{STRING},\s*(\w+),", text):
            names[table] = rows[path, var]
        for var, body in re.findall(r"const struct conf_choice (\w+)\[\] = \{\n(.*?)\n\};", text, re.S):
            choices[path.name, var] = choices[var] = [(n, w == "NOW") for n, w in re.findall(r'\{ "([^"]+)",[^{}]*?(NOW|LATER) \}', body)]
    text = (SRC / "src/conf/directives.c").read_text()
    contexts = {ctx: names[table] for ctx, table in re.findall(r"\[(CTX_\w+)\] = &(conf_table_\w+)", text)}
    assert len(contexts) == len(names) > 5
    return contexts, choices


def reached():
    """Contexts whose blocks can be written."""
    contexts, _ = tables()
    seen, todo = set(), ["CTX_GLOBAL"]
    while todo:
        ctx = todo.pop()
        if ctx not in seen:
            seen.add(ctx)
            todo += [r.block for r in contexts[ctx] if r.now and r.block]
    return sorted(seen)


def title_of(ctx):
    return "GLOBAL STATEMENTS" if ctx == "CTX_GLOBAL" else ctx[4:].replace("_", "-") + " BLOCKS"


def not_yet():
    """{place: what the section NOT SUPPORTED YET names there}"""
    out, place = {}, None
    for line in sections("smarthostd.conf.5")["NOT SUPPORTED YET"]:
        if line.startswith(".It "):
            place = plain(line).split()
            place = next(w for w in place if w not in ("in", "a", "an"))
            out[place] = ""
        elif place and line.startswith((".Ic", ".Cm")):
            out[place] += " " + plain(line).replace(" ;", " ,")
    return {k: {" ".join(w.split()) for w in v.split(",") if w.strip()} for k, v in out.items()}


def place_of(ctx):
    return ctx[4:].lower().replace("_", "-")


@pytest.mark.parametrize("ctx", reached())
def test_statement_is_in_the_section_of_its_block(ctx):
    rows = tables()[0][ctx]
    heads = entries("smarthostd.conf.5", title_of(ctx))
    documented = {h.split()[0] for h in heads}
    supported = {r.name for r in rows if r.now}
    assert supported - documented == set(), "not in the page"
    assert documented - supported == set(), "in the page, but not supported"
    wrong = [r.name for r in rows if r.now and r.default and not any(h.split()[0] == r.name and r.default in text for h, text in heads.items())]
    assert not wrong, "their defaults are not in the page"


def test_what_is_not_supported_yet_is_listed_and_nothing_else():
    contexts, choices = tables()
    listed, wanted = not_yet(), {}
    for ctx in reached():
        names = {r.name for r in contexts[ctx] if not r.now}
        for r in contexts[ctx]:
            if r.now and r.choices in choices:
                names |= {f"{r.name} {c}" for c, now in choices[r.choices] if not now}
        if names:
            wanted[place_of(ctx)] = names
    # tls-verify takes its choices by a setter of its own
    if ("dane", False) in choices["transport.c", "verify_choices"]:
        wanted["transport"].add("tls-verify dane")
    assert listed == wanted


EXAMPLES = re.findall(r"\.Bd -literal[^\n]*\n(.*?)\n\.Ed", "\n".join(sections("smarthostd.conf.5")["EXAMPLES"]), re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_is_a_correct_configuration(number):
    text = "\n".join(plain(line) for line in EXAMPLES[number].split("\n"))
    files = {f"secrets/{name}": ("secret\n", 0o600) for name in re.findall(r"/etc/smarthostd/(\S+)", text)}
    if re.search(r"certificate \S+ (\\\s+)?key ", text):        # they are tried, and have to fit
        ca = CA()
        pair = dict(zip((".pem", ".key"), (f.read_text() for f in ca.cert("relay.example.org"))))
        files.update({name: (pair[name[-4:]], 0o600) for name in files if name[-4:] in pair})
        shutil.rmtree(ca.dir)
    status, said, _ = check(text.replace("/etc/smarthostd/", "secrets/"), files)
    assert status == 0 and "configuration ok" in said, said


# ---- the programs' own help

def help_of(*words):
    r = subprocess.run([str(BIN / words[0]), *words[1:], "--help"], capture_output=True, text=True, timeout=30)
    assert r.returncode == 0 and r.stderr == "", r.stderr
    return r.stdout


def flags(page):
    """Options in the heads of a page's lists."""
    out = set()
    for line in source(page).split("\n"):
        if line.startswith(".It "):
            for group in re.findall(r"\bFl((?: (?![A-Z][a-z]\b)\S+)+)", line):
                out |= {"-" + w for w in group.split() if re.fullmatch(r"-?\w+(-\w+)*", w)}
    return out


def relayctl_commands():
    return re.findall(r"(?m)^  ([a-z]+(?: [a-z]+)?) {2,}\S", help_of("relayctl").split("Commands", 1)[1])


def test_commands_of_relayctl_are_those_of_its_page():
    heads = entries("relayctl.8", "COMMANDS")
    documented = {re.match(r"[a-z]+(?: (?!Fl|Op|Ar|Bro)[a-z]+)?", h).group() for h in heads}
    assert documented == set(relayctl_commands())


def test_options_of_relayctls_commands_are_in_its_page():
    known, missing = flags("relayctl.8"), []
    for words in [()] + [c.split() for c in relayctl_commands()]:
        said = help_of("relayctl", *words)
        missing += [f"{' '.join(words)} {o}" for o in set(re.findall(r"(?<![\w-])--?[a-z]+(?:-[a-z]+)*", said)) - known]
    assert not missing


@pytest.mark.parametrize("program, page", [("smarthostd", "smarthostd.8"), ("smarthost-sendmail", "smarthost-sendmail.8")])
def test_options_of_a_program_are_in_its_page(program, page):
    options = set(re.findall(r"(?m)(?:^  |, )(--?[a-z]\w*)", help_of(program), re.I))
    assert len(options) > 5
    assert options - flags(page) == set()


def test_exit_statuses_of_relayctl_are_in_its_page():
    enum = re.search(r"enum \{ (CTL_OK[^}]*)\}", (SRC / "src/tools/relayctl.h").read_text()).group(1)
    documented = {int(line[4:]) for line in sections("relayctl.8")["EXIT STATUS"] if line.startswith(".It ")}
    assert documented == {int(n) for n in re.findall(r"= (\d+)", enum)}


# ---- the log

def events():
    """{event: keys} of all but debug lines, from where they are written."""
    out = {}
    for path in sorted((SRC / "src").glob("*/*.c")):
        text = path.read_text()
        for g in re.finditer(r'\b(log_begin|line_id)\((LL_(?!DEBUG)[^;"]*|[^;"]*\?[^;"]*)"([\w-]+)"', text):
            keys = {"id", "why"} if g.group(1) == "line_id" else set()
            if g.group(1) == "log_begin":
                end = re.search(r"\blog_end\(\)|\n\}\n", text[g.end():])
                keys = set(re.findall(r'\blog_(?:str|num|slice|fmt|path)\("([\w-]+)"', text[g.end():g.end() + end.start()]))
            out.setdefault(g.group(3), set()).update(keys)
    assert {"received", "delivery", "rejected", "bounce"} <= set(out)
    return out


def test_events_of_the_log_and_their_keys_are_in_the_page():
    told, missing = entries("smarthostd.8", "LOG", "Sy"), []
    for event, keys in events().items():
        if event not in told:
            missing.append(event)
        else:
            missing += [f"{event}: {k}" for k in keys if not re.search(rf"(?<![\w-]){k}(?![\w-])", told[event])]
    assert not missing


# ---- what is installed

def test_unit_of_systemd_names_no_path_that_the_installation_leaves_open():
    unit = (SRC / "contrib/smarthostd.service").read_text()
    known = set(re.findall(r"s,(@\w+@),", (SRC / "GNUmakefile").read_text()))
    assert set(re.findall(r"@[A-Z]+@", unit)) == known
