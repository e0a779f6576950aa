import { areSessionsEnded, endEverySession, endSession } from '../../core/credentials/sessions.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(
  v1.logout,
  async ({ body, caller, deps }) => {
    if (body?.everywhere) return endEverySession(deps, caller.account)
    return endSession(deps, caller.account, caller.sessionId)
  },
  async ({ body, caller }, refusal) => {
    if (!areSessionsEnded(caller.account, body?.everywhere === true)) throw refusal
  },
)
