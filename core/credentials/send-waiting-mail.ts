import { pacedMail } from '../notifications/mail-pace.ts'
import { sendDueMail } from '../notifications/outbox.ts'
import type { Deps } from '../ports.ts'
import { MINUTE_MS } from '../time.ts'
import { announceRecoveries } from './announce-recoveries.ts'
import { answerMailRequests } from './mail-requests.ts'

/** How many mails are sent at once. `pacedMail` slows them down to what the provider permits. */
const WIDTH = 4

/** A round that has found so many requests is followed by another one, a second later. */
const MANY_REQUESTS = 20
const NEXT_ROUND_MS = 1_000

/** What has waited for longer than this is late, which raises an alarm. */
const LATE_MS = 5 * MINUTE_MS

/** What a run has done, in numbers. */
export interface MailRun {
  /** Requests that led to a mail, and those that failed and stay due. */
  asked: number
  asksFailed: number
  recoveriesTold: number
  recoveriesFailed: number
  sent: number
  failed: number
  dropped: number
  overdue: number
  /** How long the oldest mail or request that the run has found had waited, seconds. */
  oldestSeconds: number
  /** 1 if that was too long. */
  late: 0 | 1
  /** Mails and requests that were due and not begun before the time was over; there may be more. */
  left: number
}

/**
 * Sends every mail that waits. Those that something has happened for come first, and again after each round of the
 * requests for mails, which anybody can make: however many of those come, they delay a customer's news by a round.
 */
export async function sendWaitingMail(
  deps: Deps<'table' | 'mail' | 'keyring'>,
  untilMs: number,
): Promise<MailRun> {
  const run = { untilMs, width: WIDTH }
  const paced = { ...deps, mail: pacedMail(deps.mail, deps.clock) }
  // Before the mails are sent, among which are those that announce a recovery.
  const { done: recoveriesTold, failed: recoveriesFailed } = await announceRecoveries(deps, run)
  const done = { asked: 0, asksFailed: 0, recoveriesTold, recoveriesFailed }
  const mails = { sent: 0, failed: 0, dropped: 0, overdue: 0 }
  let [oldestMs, mailsLeft, asksLeft] = [0, 0, 0]
  const sendMails = async () => {
    const { waitedMs, left, ...counts } = await sendDueMail(paced, run)
    for (const name of Object.keys(mails) as (keyof typeof mails)[]) mails[name] += counts[name]
    oldestMs = Math.max(oldestMs, waitedMs)
    mailsLeft = left
  }
  await sendMails()
  while (deps.clock.nowMs() < untilMs) {
    const asks = await answerMailRequests(paced, run)
    done.asked += asks.done
    done.asksFailed += asks.failed
    oldestMs = Math.max(oldestMs, asks.waitedMs)
    asksLeft = asks.left
    if (asks.found === 0) break
    await sendMails()
    if (asks.left > 0) continue
    if (asks.found < MANY_REQUESTS) break
    await deps.clock.wait(NEXT_ROUND_MS)
  }
  const late = oldestMs >= LATE_MS ? 1 : 0
  return { ...done, ...mails, oldestSeconds: Math.floor(oldestMs / 1000), late, left: mailsLeft + asksLeft }
}
