import { answerAsks } from '../../core/credentials/ask.ts'
import { sendDueMail } from '../../core/notifications/outbox.ts'
import { job } from '../http/job.ts'
import { jobs } from './routes.ts'

const A_RUN = 200

export const handler = job(jobs.sendMail, async (deps) => {
  const asked = await answerAsks(deps, A_RUN)
  return { asked, ...(await sendDueMail(deps, A_RUN)) }
})
