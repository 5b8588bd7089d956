"""The HTML pages behind the links in messages: escaped, without external resources, not cached."""

from jinja2 import DictLoader, Environment
from starlette.responses import HTMLResponse

from paramedic.text.sanitize import visible

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{{ title }}</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}
button,input{font:inherit;padding:.7rem 1.4rem}dt{color:#555}dd{margin:0 0 .7rem}</style></head>
<body><h1>{{ title }}</h1>{% block body %}{% endblock %}</body></html>"""

_TEMPLATES = {
    "page": _PAGE,
    "incident": """{% extends "page" %}{% block body %}{% if wrong %}<p><strong>{{ wrong }}</strong></p>{% endif %}
<p>{{ so_far }}</p>
<dl><dt>What is wrong</dt><dd>{{ incident.title }} on {{ incident.target }}</dd>
<dt>Service</dt><dd>{{ incident.service }}{% if incident.tier != "standard" %}, a {{ incident.tier }} service{% endif %}</dd>
<dt>Severity</dt><dd>{{ incident.severity }}</dd>
{% if incident.because %}<dt>{{ "How it ended" if over else "Why it is a person's" }}</dt>
<dd>{{ incident.because }}</dd>{% endif %}</dl>
{% if button %}<form method="post"><input type="hidden" name="form" value="{{ form }}"><button>{{ button }}</button></form>
<p>{{ effect }}</p>{% endif %}
{% if not over %}<p><a href="silence/{{ token }}">Silence its alerts for a time</a></p>{% endif %}{% endblock %}""",
    "silence": """{% extends "page" %}{% block body %}{% if wrong %}<p><strong>{{ wrong }}</strong></p>{% endif %}
<dl><dt>Incident</dt><dd>{{ incident.id }}, {{ incident.title }} on {{ incident.target }}, {{ incident.severity }}</dd>
<dt>Silenced would be</dt><dd>{{ matchers }}</dd>
<dt>Alerts of other open incidents that match as well</dt><dd>{{ others }}</dd><dt>By</dt><dd>{{ person }}</dd></dl>
<form method="post"><input type="hidden" name="form" value="{{ form }}"><p><label>Why
<input name="reason" maxlength="500" autocomplete="off"></label></p>
{% for count in hours %}<button name="hours" value="{{ count }}">{{ count }} h</button> {% endfor %}</form>
<p>Opening this page has changed nothing. What matches is held until the silence ends, and handled then if it still fires. The
incident itself goes on, and so do pages about it: take it as well.</p>{% endblock %}""",
    "approve": """{% extends "page" %}{% block body %}{% if wrong %}<p><strong>{{ wrong }}</strong></p>{% endif %}
<dl><dt>Change</dt><dd>{{ approval.remedy }}</dd>
{% if approval.touches %}<dt>It touches</dt><dd style="white-space:pre-wrap">{{ approval.touches }}</dd>{% endif %}
<dt>Target</dt><dd>{{ approval.target }}: {{ life }}</dd>
<dt>Incident</dt><dd>{{ incident.id }}, {{ incident.title }}, {{ incident.severity }}</dd>
<dt>Who decides</dt><dd>{{ person }}</dd><dt>Until</dt><dd>{{ until }}</dd></dl>
<form method="post"><input type="hidden" name="form" value="{{ form }}"><p><label>The code that stands in the message
<input name="code" inputmode="numeric" pattern="[0-9]{8}" maxlength="8" autocomplete="off" autofocus></label></p>
<button name="decision" value="approve">Approve it</button>
<button name="decision" value="deny">Deny it</button></form>
<p>Nothing has happened yet. An approval needs the code; a denial does not, and gives the incident to a person.
Without an answer nothing is done.</p>{% endblock %}""",
    "say": """{% extends "page" %}{% block body %}<p>{{ words }}</p>{% endblock %}""",
}


def _seen(value: object) -> object:
    return visible(value) if isinstance(value, str) else value


_environment = Environment(loader=DictLoader(_TEMPLATES), autoescape=True, finalize=_seen)

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}


def page(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """The rendered page."""
    return HTMLResponse(_environment.get_template(template).render(**values), status_code=status, headers=_HEADERS)
