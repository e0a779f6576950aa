import { announceRecoveries } from '../../core/credentials/announce-recoveries.ts'
import { answerMailRequests } from '../../core/credentials/mail-requests.ts'
import { sendDueMail } from '../../core/notifications/outbox.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

/** Mails are sent one by one, because a new account at SES may send only one a second. */
const WIDTH = 1

export const handler = job(jobs.sendMail, async (deps, { untilMs }) => {
  const run = { untilMs, width: WIDTH }
  const { done: asked, failed: asksFailed } = await answerMailRequests(deps, run)
  // Before the mails are sent, among which are those that announce a recovery.
  const { done: recoveriesTold, failed: recoveriesFailed } = await announceRecoveries(deps, run)
  return { asked, asksFailed, recoveriesTold, recoveriesFailed, ...(await sendDueMail(deps, run)) }
})
