import { api } from '../api/routes.ts'
import { rest } from '../rest/routes.ts'
import { v1 } from '../v1/routes.ts'
import { webhooks } from '../webhooks/routes.ts'
import type { Placed } from './route.ts'
import { http } from './routes.ts'

/** Every endpoint there is. Importing this touches no SDK, no environment and no handler. */
export const rows: readonly Placed[] = [api, v1, rest, webhooks, http].flatMap((dialect) =>
  Object.values<Placed>(dialect),
)
