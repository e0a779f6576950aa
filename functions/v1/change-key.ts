import { changeKeySettings } from '../../core/keys/change-settings.ts'
import { endpoint } from '../http/endpoint.ts'
import { ownedKeyShape, settingsChange } from '../http/key-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.changeKey, async ({ body, caller, deps, path }) =>
  ownedKeyShape(await changeKeySettings(deps, caller, path.id, settingsChange(body))),
)
