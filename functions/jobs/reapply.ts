import { reapplyEvent } from '../../core/operators/reapply.ts'
import { job } from '../http/job.ts'
import { subscribers } from './schedule.ts'

export const handler = job(subscribers.reapply, async (deps, { event }) => ({
  event: await reapplyEvent(deps, event),
}))
