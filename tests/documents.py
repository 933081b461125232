"""What tests read out of the documents: tables, fenced blocks and links, headings with the names that links use."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]

Table = list[list[str]]
FENCE = re.compile(r"^[ ]*```(?P<info>[^\n`]*)\n(?P<body>.*?)^[ ]*```[ ]*$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind its opening fence, and its lines."""

    info: str
    body: str


def blocks(text: str) -> list[Block]:
    """Every fenced block, in order."""
    return [Block(found["info"].strip(), found["body"]) for found in FENCE.finditer(text)]


def without_blocks(text: str) -> str:
    """The prose, with an empty line for each fenced block."""
    return FENCE.sub("", text)


def section(text: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    (found,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def tables(text: str) -> list[Table]:
    """Every table, each with its header row, cells stripped."""
    found = re.findall(r"(?:^\|.*\n?)+", without_blocks(text), flags=re.MULTILINE)
    cells = [
        [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in one.splitlines()] for one in found
    ]
    return [[table[0], *table[2:]] for table in cells]


def links(text: str) -> list[str]:
    """Targets of the links in the prose."""
    return re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))


def headings(text: str) -> list[tuple[int, str]]:
    """Level and words of every heading."""
    found = re.findall(r"^(#{1,6}) (.+)$", without_blocks(text), flags=re.MULTILINE)
    return [(len(marks), words.strip()) for marks, words in found]


def anchors(text: str) -> set[str]:
    """The names by which links reach the headings: those that code hosts and the served documents give them."""
    names: set[str] = set()
    for _, words in headings(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", words).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        repeated = sum(name == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", name) is not None for name in names)
        names.add(f"{slug}-{repeated}" if repeated else slug)
    return names
