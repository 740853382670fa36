"""The reasons of the stable level in Persian, found by their English words in config/levels.py. Data alone.

A reason that changes there has no Persian here any more, which a test tells.
"""

from __future__ import annotations

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "8e-5 is where runs diverged; eight times lower": "با 8e-5 اجراها واگرا شدند؛ این هشت برابر کمتر است",
    "1,500 updates were too short for Adam's second moment to settle": (
        "۱٬۵۰۰ به‌روزرسانی برای آرام‌گرفتن گشتاور دوم Adam کوتاه بود"
    ),
    "the same as inverse_sqrt up to update 3,000; not compared beyond it": (
        "تا به‌روزرسانی ۳٬۰۰۰ با inverse_sqrt همانند است؛ پس از آن هنوز سنجیده نشده‌اند"
    ),
    "at this learning rate the aligner needs longer to leave the diagonal": (
        "با این نرخ یادگیری، هم‌تراز برای جداشدن از قطر زمان بیشتری می‌خواهد"
    ),
    "0.8 let single clips move the weights too far": "با 0.8 یک کلیپِ تنها وزن‌ها را بیش از اندازه جابه‌جا می‌کرد",
    "half the memory of 32 at the same effective batch": "نصف حافظهٔ 32، با همان دستهٔ مؤثر",
    "16 x 4 keeps the effective batch at 64": "با ۱۶ × ۴ دستهٔ مؤثر ۶۴ می‌ماند",
    "half precision overflowed": "دقتِ نیمه سرریز می‌کرد",
    "2.5 let one term dominate the gradient": "با 2.5 یک مؤلفه بر گرادیان چیره می‌شد",
    "as the mel; without effect on the regression decoder": "مانند مل؛ بر دیکودر رگرسیون اثری ندارد",
    "1.8 collapsed the style posterior": "با 1.8 توزیع پسینِ سبک فرومی‌ریخت",
    "half of 3.0": "نصف 3.0",
    "half of 1.5": "نصف 1.5",
    "half of 2.0": "نصف 2.0",
    "half of 1.0": "نصف 1.0",
    "0.8 pulled the text encoder towards durations before it knew sounds": (
        "با 0.8 رمزگذارِ متن پیش از شناختن صداها به سوی دیرندها کشیده می‌شد"
    ),
    "0.12 before": "پیش‌تر 0.12 بود",
    "plain L1: its gradient is bounded whatever the error": "L1 ساده: گرادیانش هر خطایی که باشد کران‌دار است",
    "off: one thing fewer that changes the loss": "خاموش: یک چیز کمتر که زیان را تغییر دهد",
    "learned weights chased the noisiest term": "وزن‌های آموخته به دنبال پرنویزترین مؤلفه می‌رفتند",
    "the best understood": "شناخته‌شده‌ترین",
    "standard": "معمول",
    "5e-7 before; next to none at this learning rate": "پیش‌تر 5e-7 بود؛ با این نرخ یادگیری تقریباً هیچ است",
    "the decoder that proved most stable": "رمزگشایی که پایدارترین شناخته شد",
    "one network less that can go wrong": "یک شبکه کمتر که ممکن است خراب شود",
    "2,000 lost more work at each crash": "با ۲٬۰۰۰ در هر ازکارافتادن کار بیشتری از دست می‌رفت",
    "1,000 saw trouble late": "با ۱٬۰۰۰ مشکل دیر دیده می‌شد",
    "50 before": "پیش‌تر 50 بود",
    "40 before": "پیش‌تر 40 بود",
    "0.00005 counted noise as progress": "با 0.00005 نویز پیشرفت به شمار می‌آمد",
}
"""Reason in English -> in Persian."""
