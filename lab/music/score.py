"""A melody as sheet music: MusicXML that any notation program opens, and an SVG for the page.

The XML is written by hand: music21's exporter takes longer for one melody than all the rest of a page together.
Every note and rest has an id, which verovio carries into the SVG, so that a page can light up the note that sounds.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from lab.music.melody import TICKS_PER_QUARTER, Melody, Meter, Mode
from lab.music.spelling import Spelling, key_signature, spell

TYPES = {64: "breve", 32: "whole", 16: "half", 8: "quarter", 4: "eighth", 2: "16th", 1: "32nd"}  # ticks → note type
WRITABLE = {*TYPES, *(3 * ticks // 2 for ticks in TYPES if ticks > 1)}  # plain and dotted
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
