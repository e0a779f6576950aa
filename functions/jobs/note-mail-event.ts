import { noteMailEvent } from '../../core/notifications/mail-event.ts'
import { job } from '../http/job.ts'
import { subscribers } from './schedule.ts'

export const handler = job(subscribers.noteMailEvent, async (deps, { event }) => ({
  mail: await noteMailEvent(deps, event),
}))
