"""What each reverse script does to rows: rows.json, whose fields verify.py explains."""

import json
import pkgutil

ROW_EFFECTS = json.loads(pkgutil.get_data("downdraft.steps", "rows.json"))
