"""What is said of settings: name -> (English, Persian), with the same placeholders. Data alone."""

from __future__ import annotations

from collections.abc import Mapping

SETTINGS: Mapping[str, tuple[str, str]] = {
    "settings_read": (
        "{known} settings understood, {unknown} names not known",
        "{known} تنظیم فهمیده شد، {unknown} نام شناخته نشد",
    ),
    "settings_older": (
        "names of an older system are among them; `fix` writes them under the names of MyXTTS",
        "نام‌های یک سامانهٔ قدیمی‌تر در میان آن‌هاست؛ `fix` آن‌ها را با نام‌های MyXTTS می‌نویسد",
    ),
    "without_counterpart": (
        "{count} settings of the older system mean nothing here: {names}",
        "{count} تنظیم سامانهٔ قدیمی در اینجا معنایی ندارد: {names}",
    ),
    "key_is_no_name": ("a key is not a plain name", "یک کلید، نامی ساده نیست"),
    "key_twice": ("{key} stands twice, first on line {first}", "{key} دو بار آمده است، نخست در سطر {first}"),
    "keep_one": ("keep one line and delete the other", "یکی از دو سطر را نگه دارید و دیگری را پاک کنید"),
    "differs": (
        "{written} is {value}; stable: {key} {stable}",
        "مقدار {written} برابر {value} است؛ پایدار: {key} {stable}",
    ),
    "costly": (
        "not causes of NaN, but more work is lost once it is there; stable: {settings}",
        "این‌ها علت NaN نیستند، اما اگر پیش بیاید کار بیشتری از دست می‌رود؛ مقدار پایدار: {settings}",
    ),
    "set_to": ("set {key}: {value} ({reason})", "بنویسید {key}: {value} ({reason})"),
    "set_plain": ("set {key}: {value}", "بنویسید {key}: {value}"),
    "unusable": (
        "{written} is {raw}, which cannot be used; expected {expected}",
        "مقدار {written} برابر {raw} است و به کار نمی‌آید؛ مقدار پذیرفتنی: {expected}",
    ),
    "clip_missing": (
        "no clipping of the gradient norm is set: one bad clip can throw the weights anywhere",
        "برای نُرم گرادیان هیچ برشی تعیین نشده است: یک کلیپ بد می‌تواند وزن‌ها را به هر جا پرتاب کند",
    ),
    "clip_off": (
        "{written} is {raw}: the gradient norm is not clipped at all",
        "مقدار {written} برابر {raw} است: نُرم گرادیان اصلاً بریده نمی‌شود",
    ),
    "clip_unusable": (
        "{written} is {raw}: clipping by it makes every gradient NaN or zero",
        "مقدار {written} برابر {raw} است: برش با آن همهٔ گرادیان‌ها را NaN یا صفر می‌کند",
    ),
    "restarts_die": (
        "cosine restarts with a multiplier of {growth}: after {warmup} updates of warmup the periods, the first of "
        "{first}, sum to {sum}, and from update {update} on the learning rate is NaN",
        "راه‌اندازی‌های دوبارهٔ کسینوسی با ضریب {growth}: پس از {warmup} به‌روزرسانیِ گرم‌شدن، جمع دوره‌ها (نخستین {first}) "
        "به {sum} می‌رسد و از به‌روزرسانی {update} به بعد نرخ یادگیری NaN است",
    ),
    "restarts_jump": (
        "cosine restarts throw the learning rate back to its full value at every restart",
        "در راه‌اندازی‌های دوبارهٔ کسینوسی، نرخ یادگیری هر بار ناگهان به مقدار کامل برمی‌گردد",
    ),
    "warmup_over": (
        "{where}: the warmup of {warmup} updates ends after the run of {last}: the learning rate reaches {share}% of "
        "its value, which is slow and no cause of NaN; schedule.warmup_updates: {last}, or a longer run, mends it",
        "{where}: گرم‌شدنِ {warmup} به‌روزرسانی پس از پایان اجرا ({last}) تمام می‌شود: نرخ یادگیری تنها به {share}٪ مقدارش "
        "می‌رسد که کند است و علت NaN نیست؛ schedule.warmup_updates حداکثر {last}، یا اجرایی طولانی‌تر، چاره است",
    ),
    "unknown_key": ("{written} is no setting of any kind", "{written} نام هیچ تنظیمی نیست"),
    "rename": ("did you mean {near}? otherwise delete the line", "آیا منظورتان {near} بود؟ وگرنه سطر را پاک کنید"),
    "delete_line": ("delete the line", "این سطر را پاک کنید"),
    "refused": ("the settings are refused: {problem}", "تنظیم‌ها پذیرفته نمی‌شوند: {problem}"),
    "correct_it": ("correct it; until then nothing starts", "آن را درست کنید؛ تا آن زمان چیزی شروع نمی‌شود"),
    "change": ("{written} {before} -> {key} {after}", "{written} {before} -> {key} {after}"),
    "change_same": ("{key} {before} -> {after}", "{key} {before} -> {after}"),
    "because": ("because: {reason}", "دلیل: {reason}"),
    "because_level": (
        "because: the stable settings are this level",
        "دلیل: تنظیم‌های پایدار همین سطح‌اند",
    ),
    "changes_head": (
        "{count} settings change, each with its reason:",
        "{count} تنظیم تغییر می‌کند، هر کدام با دلیلش:",
    ),
    "changes_none": (
        "every setting that stability asks for is already as safe as it can be",
        "همهٔ تنظیم‌هایی که پایداری می‌خواهد از پیش به اندازهٔ کافی امن‌اند",
    ),
    "fix_added": (
        "{count} stable settings that the file did not name are written out too",
        "{count} تنظیم پایدار که در فایل نبود نیز نوشته می‌شود",
    ),
    "fix_kept": (
        "kept as you set them: {names}",
        "همان‌گونه که تعیین کرده بودید می‌ماند: {names}",
    ),
    "left_schedule": (
        "left out: {written} {raw} ({where}) belongs to a schedule that is not taken over",
        "کنار گذاشته شد: {written} {raw} ({where}) به برنامه‌ای از نرخ یادگیری تعلق دارد که به کار نمی‌رود",
    ),
    "left_unusable": (
        "left out: {written} {raw} ({where}): {problem}",
        "کنار گذاشته شد: {written} {raw} ({where}): {problem}",
    ),
    "left_unknown": (
        "left out: {written} ({where}) is no setting of any kind",
        "کنار گذاشته شد: {written} ({where}) نام هیچ تنظیمی نیست",
    ),
    "left_without_counterpart": (
        "left out, since it means nothing here ({count}): {names}",
        "کنار گذاشته شد، چون در اینجا معنایی ندارد ({count}): {names}",
    ),
    "settings_written": ("written: {path}", "نوشته شد: {path}"),
    "settings_already": (
        "{path} already holds exactly this; nothing was changed",
        "{path} از پیش دقیقاً همین را دارد؛ چیزی تغییر نکرد",
    ),
    "settings_train": (
        "train with it: {python} train_main.py --config {path}",
        "آموزش با آن: {python} train_main.py --config {path}",
    ),
}
