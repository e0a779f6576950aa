import { consumeBatch } from '../../core/quota/batch.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.consumeBatch, async ({ caller, body, deps }) => ({
  answers: await consumeBatch(deps, caller.key, body.requests),
}))
