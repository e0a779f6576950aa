import { addNotice } from '../../core/notifications/notices.ts'
import { job } from '../http/job.ts'
import { subscribers } from './schedule.ts'

export const handler = job(subscribers.addNotice, async (deps, { event }) => ({
  notice: await addNotice(deps, event),
}))
