"""The page for correcting doubtful texts by ear. It needs no server, and saves a corrected metadata.csv."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2

from myxtts.dataset.clips import Clip

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Check the texts",
        "how": "Listen to each clip and correct its text. To remove an unusable clip, tick its box. "
        "Changes stay in this browser until you save the table; then replace metadata.csv with the saved file.",
        "doubtful": "Only doubtful texts",
        "unchecked": "Only unchecked texts",
        "save": "Save metadata.csv",
        "reset": "Undo all changes",
        "sure": "Undo all changes of this page?",
        "checked": "checked",
        "remove": "remove",
        "text": "Text of",
        "confidence": "confidence",
        "progress": "{checked} of {shown} checked, {removed} removed",
        "nothing": "No text is doubtful.",
        "dropped": "Dropped parts",
        "keys": "In a text: Enter marks it as checked and plays the next clip; Ctrl+Space plays and pauses.",
        "place": "recording",
        "reason": "reason",
        "language": "فارسی",
    },
    "fa": {
        "title": "بررسی متن‌ها",
        "how": "به هر قطعه گوش کنید و متن آن را درست کنید. قطعه‌ای را که به کار نمی‌آید با خانهٔ کنار آن حذف کنید. "
        "تغییرها در همین مرورگر می‌مانند تا جدول را ذخیره کنید؛ پروندهٔ ذخیره‌شده را به جای metadata.csv بگذارید.",
        "doubtful": "فقط متن‌های نامطمئن",
        "unchecked": "فقط متن‌های بررسی‌نشده",
        "save": "ذخیرهٔ metadata.csv",
        "reset": "بازگرداندن همهٔ تغییرها",
        "sure": "همهٔ تغییرهای این صفحه بازگردانده شود؟",
        "checked": "بررسی شد",
        "remove": "حذف",
        "text": "متن",
        "confidence": "اطمینان",
        "progress": "{checked} از {shown} بررسی شد، {removed} حذف شد",
        "nothing": "هیچ متنی نامطمئن نیست.",
        "dropped": "بخش‌های کنارگذاشته",
        "keys": "در متن: Enter قطعه را بررسی‌شده می‌کند و قطعهٔ بعدی را پخش می‌کند؛ Ctrl+Space پخش و مکث است.",
        "place": "ضبط",
        "reason": "دلیل",
        "language": "English",
    },
}
"""Words of the page by language."""
REASONS_FA = {
    "noise": "نوفه",
    "music or tones": "موسیقی یا بوق",
    "music or noise under it": "موسیقی یا نوفه در زمینه",
    "too short": "کوتاه",
    "no pause": "بی‌مکث",
    "no words were recognized": "واژه‌ای شناخته نشد",
    "no speech was found": "گفتاری پیدا نشد",
    "not in the transcript": "در متن داده‌شده نیست",
    "noisy": "پرنوفه",
    "too quiet": "بسیار آرام",
}


def render_review(kept: Sequence[Clip], clips: Sequence[Clip], language: str, doubtful: float, has_texts: bool) -> str:
    """The page for the kept clips, least confident first; `clips` includes the dropped ones."""
    rows: list[dict[str, Any]] = [
        {
            "id": clip.id,
            "text": clip.text,
            "speaker": clip.speaker,
            "language": language,
            "confidence": clip.confidence,
            "seconds": round(clip.seconds, 1),
        }
        for clip in kept
    ]
    dropped = [clip for clip in clips if not clip.id]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("myxtts", "dataset"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return environment.get_template("review.html.j2").render(
        data={
            "rows": rows,
            "doubtful": doubtful,
            "texts": has_texts,
            "words": WORDS,
            "reasons": REASONS_FA,
            "first": "fa" if language.split("-")[0] == "fa" else "en",
        },
        dropped=dropped,
    )
