import { sendDueMail } from '../../core/notifications/outbox.ts'
import { job } from '../http/job.ts'
import { jobs } from './routes.ts'

const MAILS_A_RUN = 200

export const handler = job(jobs.sendMail, (deps) => sendDueMail(deps, MAILS_A_RUN))
