"""What is said of data and logs: name -> (English, Persian), with the same placeholders. Data alone."""

from __future__ import annotations

from collections.abc import Mapping

DATA: Mapping[str, tuple[str, str]] = {
    "note": ("{text}", "{text}"),
    "data_rows": (
        "{clips} rows have a recording and a text, speakers: {speakers}",
        "{clips} سطر ضبط و متن دارد، گوینده‌ها: {speakers}",
    ),
    "data_one_speaker": (
        "1 speaker: the model will speak in this one voice; to clone voices of strangers takes recordings of at least "
        "{enough} people, better hundreds",
        "1 گوینده: مدل با همین یک صدا سخن خواهد گفت؛ شبیه‌سازیِ صدای ناآشنایان ضبط‌های دست‌کم {enough} نفر می‌خواهد، و "
        "بهتر از آن صدها نفر",
    ),
    "data_few_speakers": (
        "{people} speakers: enough to speak in their voices, not enough speakers to clone voices of strangers, which "
        "takes recordings of at least {enough} people, better hundreds; roots that are trained on together all count",
        "{people} گوینده: برای سخن‌گفتن با صدای خودشان بس است، اما گویندگان برای شبیه‌سازیِ صدای ناآشنایان کم‌اند: این کار "
        "ضبط‌های دست‌کم {enough} نفر می‌خواهد، و بهتر از آن صدها نفر؛ گویندگانِ همهٔ پوشه‌هایی که با هم آموزش داده "
        "می‌شوند به شمار می‌آیند",
    ),
    "data_decoded": (
        "{count} of {total} recordings were listened into, {good} of them can be used",
        "از {total} ضبط، {count} تا بررسی شد و {good} تا از آن‌ها به کار می‌آید",
    ),
    "data_rejected": ("{reason}: {count}; the first: {value}", "{reason}: {count} تا؛ نخستین: {value}"),
    "data_share": (
        "with the default settings {share}% of the rows would be rejected and {most}% are allowed: the training does "
        "not start",
        "با تنظیم‌های پیش‌فرض {share}٪ سطرها رد می‌شود و تنها {most}٪ مجاز است: آموزش شروع نمی‌شود",
    ),
    "data_long_text": (
        "texts of over 400 characters: {count}; the first has {characters}",
        "متن‌های بیش از ۴۰۰ نویسه: {count} تا؛ نخستین {characters} نویسه دارد",
    ),
    "mend": (
        "mend these rows or delete them; the training leaves them out until then",
        "این سطرها را درست یا پاک کنید؛ تا آن زمان آموزش آن‌ها را کنار می‌گذارد",
    ),
    "raise_cap": (
        "{settings} takes {count} of these rows; the memory of a batch grows with it",
        "با ‎{settings}‎ {count} سطر از این‌ها هم آموزش داده می‌شود؛ حافظهٔ هر دسته با آن بزرگ‌تر می‌شود",
    ),
    "cut_text": (
        "cut recording and text into sentences",
        "ضبط و متن را جمله‌جمله ببرید",
    ),
    "log_read": (
        "{lines} lines with figures, {bad} of them with NaN, Inf or a refused update",
        "{lines} سطر عدد دارد، {bad} تای آن‌ها NaN، بی‌نهایت یا به‌روزرسانیِ ردشده",
    ),
    "first_nan": (
        "the first value that is not finite, at update {update}: {names}",
        "نخستین مقدار نامتناهی، در به‌روزرسانی {update}: {names}",
    ),
    "first_skip": (
        "the first refused update: {update}",
        "نخستین به‌روزرسانیِ ردشده: {update}",
    ),
    "look_before": (
        "what led to it stands in the other causes of this log",
        "آنچه به آن انجامید در علت‌های دیگرِ همین گزارش آمده است",
    ),
    "rate_nan": (
        "the learning rate itself is not finite: the schedule broke, and no guard on gradients can see that",
        "خود نرخ یادگیری نامتناهی است: برنامهٔ آن شکسته است و هیچ نگهبانی بر گرادیان‌ها این را نمی‌بیند",
    ),
    "rate_jump": (
        "the learning rate jumped from {before} to {now} just before",
        "نرخ یادگیری درست پیش از آن از {before} به {now} پرید",
    ),
    "mend_schedule": (
        "set schedule.decay: constant, and look at the settings with `check`",
        "بنویسید schedule.decay: constant و تنظیم‌ها را با `check` بررسی کنید",
    ),
    "norm_rises": (
        "the gradient norm rose before it, from {before} to {now}",
        "نُرم گرادیان پیش از آن بالا رفت، از {before} به {now}",
    ),
    "lower_clip_and_rate": (
        "set optimizer.clip_norm: 0.3 and halve optimizer.learning_rate",
        "بنویسید optimizer.clip_norm: 0.3 و optimizer.learning_rate را نصف کنید",
    ),
    "loss_rises": (
        "the loss rose before it, from {before} to {now}",
        "زیان پیش از آن بالا رفت، از {before} به {now}",
    ),
    "lower_rate": (
        "halve optimizer.learning_rate, and go on from a checkpoint of before the rise",
        "optimizer.learning_rate را نصف کنید و از چک‌پوینتی پیش از این بالارفتن ادامه دهید",
    ),
    "rate_rises": (
        "the learning rate was still rising, from {before} to {now}",
        "نرخ یادگیری هنوز در حال افزایش بود، از {before} به {now}",
    ),
    "longer_warmup": (
        "set schedule.warmup_updates: 3000 and a lower optimizer.learning_rate",
        "بنویسید schedule.warmup_updates: 3000 و optimizer.learning_rate را کمتر کنید",
    ),
    "out_of_the_blue": (
        "nothing rose in the {lines} lines before it: one bad clip, or an overflow of half precision",
        "در {lines} سطرِ پیش از آن چیزی بالا نرفت: یک کلیپ بد، یا سرریزِ دقتِ نیمه",
    ),
    "look_at_data": (
        "check the data root, and set training.precision: fp32",
        "پوشهٔ داده را با `check` بررسی کنید و بنویسید training.precision: fp32",
    ),
}
