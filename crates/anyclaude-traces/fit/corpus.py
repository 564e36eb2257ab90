"""The texts that the token estimate is fitted to and judged by.

All of them come from registry packages under free licences (fetched with pip,
npm, cargo and apt, versions pinned; Debian's are those of Debian 12) and from
generators.py. Packages are either for fitting or held out, never both. No text
is kept in the repository.
"""

import gzip
import html.parser
import json
import random
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import generators

PIECE_BYTES = 2000
FIT, HELD_OUT = "fit", "held out"
# At most this many pieces of one class and one pattern of a package, so that
# no package outweighs the rest.
PIECES_PER_PATTERN = {FIT: 300, HELD_OUT: 120}

# (registry, package, version, split, [(class, kind, pattern of paths)])
SOURCES = [
    ("pypi", "Django", "5.2.19", FIT, [
        ("prose", "text", r"/docs/.*\.txt$"),
        ("code", "text", r"/django/.*\.py$"),
        ("CJK", "po", r"/locale/(ja|ko|zh_Hans|zh_Hant)/LC_MESSAGES/django\.po$"),
        ("other scripts", "po", r"/locale/(ru|uk|el|he|ar|fa|hi|th|bn|ta|ka|hy)/LC_MESSAGES/django\.po$"),
        ("other Latin", "po", r"/locale/(de|fr|es|pl|vi|tr|cs|fi|hu)/LC_MESSAGES/django\.po$"),
    ]),
    ("pypi", "google-api-python-client", "2.202.0", FIT, [
        ("JSON schema", "json", r"/discovery_cache/documents/[a-d].*\.json$"),
    ]),
    ("pypi", "check-jsonschema", "0.39.0", FIT, [("JSON schema", "json", r"/builtin_schemas/.*\.json$")]),
    ("pypi", "docutils", "0.23", FIT, [("prose", "text", r"/docs/.*\.(txt|rst)$")]),
    ("pypi", "SQLAlchemy", "2.1.9", FIT, [
        ("prose", "text", r"/doc/build/(?!changelog).*\.rst$"), ("code", "text", r"/lib/.*\.py$"),
    ]),
    ("pypi", "Pygments", "2.21.0", FIT, [
        ("code", "text", r"/tests/examplefiles/(java|go|kotlin|swift|c|cpp|csharp|ruby|php|bash|js|ts|css|html|sql"
                         r"|yaml|lua|scala|haskell)/[^/]*(?<!\.output)$"),
    ]),
    ("npm", "react-native", "0.88.1", FIT, [
        ("code", "text", r"\.(java|kt)$"),
        ("code", "text", r"\.(mm?|h|cpp)$"),
        ("code", "text", r"/Libraries/.*\.js$"),
    ]),
    ("npm", "zod", "4.6.7", FIT, [("code", "text", r"/src/(?!.*locales).*\.ts$")]),
    ("crates", "regex-automata", "0.4.19", FIT, [("code", "text", r"/src/.*\.rs$"), ("prose", "text", r"\.md$")]),
    ("crates", "clap_builder", "4.6.7", FIT, [
        ("code", "text", r"/src/.*\.rs$"), ("hashes and logs", "text", r"/Cargo\.lock$"),
    ]),
    ("crates", "chrono", "0.4.45", FIT, [
        ("code", "text", r"/src/.*\.rs$"), ("hashes and logs", "text", r"/Cargo\.lock$"),
    ]),
    ("crates", "proptest", "1.12.0", FIT, [("prose", "text", r"\.md$")]),
    ("debian", "debian-handbook", "11.20220922", FIT, [
        ("prose", "html", r"/html/en-US/.*\.html$"),
        ("CJK", "html", r"/html/ja-JP/.*\.html$"),
        ("CJK", "html", r"/html/zh-CN/.*\.html$"),
        ("CJK", "html", r"/html/zh-TW/.*\.html$"),
        ("CJK", "html", r"/html/ko-KR/.*\.html$"),
        ("other scripts", "html", r"/html/ru-RU/.*\.html$"),
        ("other scripts", "html", r"/html/(ar-MA|fa-IR)/.*\.html$"),
        ("other scripts", "html", r"/html/(el-GR|hi-IN)/.*\.html$"),
        ("other Latin", "html", r"/html/(de-DE|fr-FR|es-ES)/.*\.html$"),
        ("other Latin", "html", r"/html/(pl-PL|vi-VN|tr-TR|it-IT)/.*\.html$"),
        ("other Latin", "html", r"/html/(nl-NL|cs-CZ|sv-SE|pt-BR|id-ID)/.*\.html$"),
    ]),
    ("debian", "manpages-ja", "0.5.0.0.20221215+dfsg-1", FIT, [("CJK", "man", r"/man/ja/.*\.gz$")]),
    ("debian", "manpages-zh", "1.6.4.0-1", FIT, [
        ("CJK", "man", r"/man/zh_CN/.*\.gz$"), ("CJK", "man", r"/man/zh_TW/.*\.gz$"),
    ]),
    ("debian", "debian-policy", "4.6.2.0", FIT, [("prose", "text", r"/_sources/.*\.txt(\.gz)?$")]),
    ("debian", "fortunes-min", "1:1.99.1-7.3", FIT, [("prose", "text", r"/fortunes/[a-z]+$")]),

    ("pypi", "celery", "5.7.0", HELD_OUT, [
        ("prose", "text", r"/docs/(?!history|reference|internals/reference).*\.rst$"),
        ("code", "text", r"/(celery|t)/.*\.py$"),
    ]),
    ("pypi", "pytest", "9.2.0", HELD_OUT, [
        ("prose", "text", r"/doc/en/.*\.rst$"), ("code", "text", r"/(src|testing)/.*\.py$"),
    ]),
    ("pypi", "psutil", "7.2.2", HELD_OUT, [("code", "text", r"/psutil/.*\.[ch]$")]),
    ("pypi", "sphinx", "9.0.4", HELD_OUT, [
        ("other scripts", "po", r"/locale/(ru|ru_RU|uk|el|he|he_IL|ar|fa|hi|th|bn|ta|ka|hy)/LC_MESSAGES/sphinx\.po$"),
        ("CJK", "po", r"/locale/(ja|ja_JP|ko|ko_KR|zh_Hans|zh_Hant|zh_CN|zh_TW)/LC_MESSAGES/sphinx\.po$"),
    ]),
    ("npm", "rxjs", "7.8.2", HELD_OUT, [("code", "text", r"/src/.*\.ts$")]),
    ("npm", "svelte", "5.57.3", HELD_OUT, [("code", "text", r"/src/.*\.js$")]),
    ("npm", "@capacitor/android", "8.5.2", HELD_OUT, [("code", "text", r"\.java$")]),
    ("npm", "@capacitor/ios", "8.5.2", HELD_OUT, [("code", "text", r"\.swift$")]),
    ("npm", "@octokit/openapi", "23.0.2", HELD_OUT, [("JSON schema", "json", r"/api\.github\.com\.json$")]),
    ("npm", "webpack", "5.112.2", HELD_OUT, [
        ("JSON schema", "json", r"/schemas/.*\.json$"), ("prose", "text", r"README\.md$"),
    ]),
    ("npm", "ajv", "8.20.0", HELD_OUT, [("JSON schema", "json", r"/lib/refs/.*\.json$")]),
    ("npm", "vscode-languageserver-protocol", "3.18.5", HELD_OUT, [("JSON schema", "json", r"metaModel.*\.json$")]),
    ("crates", "hashbrown", "0.17.1", HELD_OUT, [("code", "text", r"/src/.*\.rs$"), ("prose", "text", r"\.md$")]),
    ("crates", "winnow", "1.0.5", HELD_OUT, [("code", "text", r"/src/.*\.rs$"), ("hashes and logs", "text", r"\.lock$")]),
    ("crates", "tempfile", "3.27.0", HELD_OUT, [("prose", "text", r"\.md$"), ("hashes and logs", "text", r"\.lock$")]),
    ("debian", "installation-guide-amd64", "20230508+deb12u1", HELD_OUT, [
        ("prose", "html", r"-amd64/en/.*\.html$"),
        ("CJK", "html", r"-amd64/ja/.*\.html$"),
        ("CJK", "html", r"-amd64/ko/.*\.html$"),
        ("CJK", "html", r"-amd64/zh_CN/.*\.html$"),
        ("other scripts", "html", r"-amd64/ru/.*\.html$"),
        ("other scripts", "html", r"-amd64/el/.*\.html$"),
        ("other Latin", "html", r"-amd64/(de|fr|es|pt)/.*\.html$"),
        ("other Latin", "html", r"-amd64/(vi|cs|it|sv)/.*\.html$"),
    ]),
    ("debian", "debian-faq-zh-cn", "11.1", HELD_OUT, [("CJK", "html", r"/FAQ/zh-cn/.*\.html$")]),
    ("debian", "debian-faq-ja", "11.1", HELD_OUT, [("CJK", "html", r"/FAQ/ja/.*\.html$")]),
    ("debian", "debian-faq-ko", "11.1", HELD_OUT, [("CJK", "html", r"/FAQ/ko/.*\.html$")]),
    ("debian", "debian-faq-ru", "11.1", HELD_OUT, [("other scripts", "html", r"/FAQ/ru/.*\.html$")]),
]

CLASSES = ["prose", "code", "JSON schema", "chat JSON", "CJK", "other scripts", "other Latin", "hashes and logs"]


def run(*command, cwd):
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def fetch(registry, name, version, cache):
    """The folder that holds the unpacked package, fetched once."""
    folder = cache / registry / re.sub(r"\W+", "-", f"{name}-{version}")
    if (folder / ".complete").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if registry == "pypi":
        run("pip", "download", "-q", "--no-deps", "--no-binary", ":all:", f"{name}=={version}", cwd=folder)
    elif registry == "npm":
        run("npm", "pack", "--silent", f"{name}@{version}", cwd=folder)
    elif registry == "debian":
        run("apt-get", "download", "-q", f"{name}={version}", cwd=folder)
    else:
        (folder / "src").mkdir(exist_ok=True)
        (folder / "src/lib.rs").touch()
        (folder / "Cargo.toml").write_text(
            f'[package]\nname = "fetch"\nedition = "2021"\n[dependencies]\n{name} = "={version}"\n[workspace]\n')
        run("cargo", "vendor", "--quiet", "--versioned-dirs", "vendor", cwd=folder)
    for archive in list(folder.iterdir()):
        if archive.suffix in (".gz", ".tgz"):
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        elif archive.suffix == ".zip":
            zipfile.ZipFile(archive).extractall(folder)
        elif archive.suffix == ".deb":
            run("dpkg-deb", "-x", str(archive), "unpacked", cwd=folder)
    (folder / ".complete").touch()
    return folder


class HtmlText(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts, self.hidden = [], 0

    def handle_starttag(self, tag, _attributes):
        self.hidden += tag in ("script", "style")
        if tag in ("p", "div", "li", "tr", "pre", "h1", "h2", "h3", "dt", "dd", "br"):
            self.parts.append("\n")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(data)


def text_of(path, kind):
    """The text of one file, as a prompt would hold it."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    text = raw.decode("utf-8", errors="ignore").replace("\0", "")
    if kind == "json":
        return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    if kind == "html":
        parser = HtmlText()
        parser.feed(text)
        return re.sub(r"\n\s*\n+", "\n\n", "".join(parser.parts))
    if kind == "man":
        return "\n".join(re.sub(r"\\f.|\\-", "", line) for line in text.splitlines() if not line.startswith((".", "'")))
    if kind == "po":
        texts = re.findall(r'^msgstr(?:\[\d\])? ((?:".*"\n?)+)', text, re.M)
        return "\n".join("".join(json.loads(line) for line in found.splitlines()) for found in texts[1:])
    return text


def pieces_of(text):
    """Cuts a text into pieces of about PIECE_BYTES, at the ends of lines where there are any."""
    raw, begin = text.encode(), 0
    while begin < len(raw):
        end = begin + PIECE_BYTES
        newline = raw.rfind(b"\n", begin + PIECE_BYTES // 2, end)
        if end < len(raw) and newline > 0:
            end = newline + 1
        piece = raw[begin:end].decode("utf-8", errors="ignore")
        begin = end
        if len(piece.encode()) >= PIECE_BYTES // 4:
            yield piece


def is_of(class_name, piece):
    """Leaves out what a manual did not translate."""
    if class_name not in ("CJK", "other scripts"):
        return True
    foreign = sum(c > "\u036f" and c.isalpha() for c in piece)
    return foreign > 0.35 * sum(c.isalpha() for c in piece)


def package_pieces(source, cache):
    registry, name, version, split, patterns = source
    folder = fetch(registry, name, version, cache)
    if registry == "crates":
        folder = folder / "vendor" / f"{name}-{version}"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".deb", ".tgz"))
    for class_name, kind, pattern in patterns:
        matching = [path for path in files if re.search(pattern, "/" + str(path.relative_to(folder)))]
        if not matching:
            raise SystemExit(f"{name} {version}: no file matches {pattern}")
        found = [piece for path in matching for piece in pieces_of(text_of(path, kind)) if is_of(class_name, piece)]
        random.Random(name).shuffle(found)
        for piece in found[:PIECES_PER_PATTERN[split]]:
            yield class_name, piece


def corpus(cache):
    """{split: {class: [piece]}}"""
    splits = {split: {name: [] for name in CLASSES} for split in (FIT, HELD_OUT)}
    for source in SOURCES:
        for class_name, piece in package_pieces(source, cache):
            splits[source[3]][class_name].append(piece)
    for number, (split, classes) in enumerate(splits.items()):
        rng = random.Random(number)
        classes["JSON schema"] += generators.tool_definitions(rng, split == FIT, 250)
        classes["chat JSON"] += generators.chats(rng, classes, 400)
        classes["hashes and logs"] += generators.logs(rng, split == FIT, 200)
    return splits
