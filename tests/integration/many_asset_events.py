"""Records events of an asset as Airflow does at a task's end: many, each in a transaction of its own.

Called with the asset's name and a JSON list of what the events say.
"""

from __future__ import annotations

import json
import sys

if __name__ == "__main__":
    from airflow.assets.manager import asset_manager
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    name, extras = sys.argv[1], json.loads(sys.argv[2])
    for extra in extras:
        with create_session() as session:
            asset = session.scalars(select(AssetModel).where(AssetModel.name == name)).one()
            assert asset_manager.register_asset_change(asset=asset, extra=extra, session=session)
