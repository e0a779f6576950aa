import { sendWaitingMail } from '../../core/credentials/send-waiting-mail.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

export const handler = job(jobs.sendMail, (deps, { untilMs }) => sendWaitingMail(deps, untilMs))
