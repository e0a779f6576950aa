import { type Assumptions, assumptions as usual } from './assumptions.ts'
import { type Day, dayOf } from './day.ts'
import { partOfDay } from './hours.ts'
import {
  CREATES,
  emptyTally,
  NAMES,
  OPERATIONS,
  type Operation,
  type OperationName,
  type Places,
  STRIPE_CALLS,
  type Tally,
} from './operations.ts'
import { openPeaks, type Watched } from './peaks.ts'
import { addPlaces, watchPlaces } from './places.ts'
import { cohortsOf } from './population.ts'
import { openQueue } from './queue.ts'
import { busiestSecond, poisson, randomOf } from './random.ts'
import { deployed, jobsRate, PACES, type Settings } from './settings.ts'

export interface Scale {
  /** Accounts at the beginning of the month. */
  accounts: number
  days: number
  seed: number
}

export interface Month extends Watched {
  scale: Scale
  tally: Tally
  /** What was refused, because a limit was met. */
  refused: { requests: number; spends: number; registrations: number; payments: number }
  /** Items that wait for a job when the month ends. */
  left: number
  /** Users that Cognito counts as active. */
  activeUsers: number
  accountsAtEnd: number
}

/** What one key of the table takes a second, and one partition of an index. */
export const PARTITION_UNITS = 1_000

/** Each of so many processes renews its lease every ten seconds or so. */
const LEASE_RENEWALS_A_MINUTE = 8 * 6

export const BATCH = 20
const MINUTES = 1440

/** New accounts of the viral day come closer together than use. */
const rush = Array.from({ length: MINUTES }, (_, minute) => partOfDay(minute) ** 2)
const rushTotal = rush.reduce((a, b) => a + b, 0)

/**
 * Plays a month, minute by minute. The same scale, settings and assumptions always give the same month.
 * @param tell is told of each day that begins
 */
export function playMonth(
  scale: Scale,
  settings: Settings = deployed,
  about: Assumptions = usual,
  tell: (day: number) => void = () => {},
): Month {
  const active = Math.max(1, Math.round(scale.accounts * about.active))
  const cohorts = cohortsOf(active, scale.accounts * about.unitsPerAccount, about.zipf)
  const paying = cohorts.reduce((sum, { size, bundleUnits }) => sum + (bundleUnits ? size : 0), 0)
  const world = openWorld(scale, settings, about, paying / scale.accounts)
  for (let day = 0; day < scale.days; day++) {
    tell(day)
    const expected = dayOf(cohorts, day, settings, about)
    for (let minute = 0; minute < MINUTES; minute++) world.play(day * MINUTES + minute, expected)
  }
  return world.end()
}

function openWorld(scale: Scale, settings: Settings, about: Assumptions, payingShare: number) {
  const random = randomOf(scale.seed)
  const tally = emptyTally()
  const { watched, watch } = openPeaks(scale.days)
  const refused = { requests: 0, spends: 0, registrations: 0, payments: 0 }
  const queues = {
    ...{ sendMail: openQueue(), publishEvents: openQueue(), countUse: openQueue(), checkQuotas: openQueue() },
    ...{ renew: openQueue(), webhooks: openQueue(), creations: openQueue() },
  }
  /** What happens in the minute that is played, and what jobs write faster than spread over the minute. */
  let done = emptyTally()
  let surge: Places = {}
  /** Calls to Stripe of purchases and webhooks in the minute before. */
  let unpacedCalls = 0
  /** Mails that requests have sent in the minute. */
  let sentAtOnce = 0

  const count = (name: OperationName, times: number) => {
    done[name] += times
  }
  const countAll = (served: Partial<Tally>) => {
    for (const [name, times] of Object.entries(served)) count(name as OperationName, times)
  }
  const often = (mean: number) => poisson(random, mean)

  /** Requests for units, and what they leave to jobs. */
  function spend(minute: number, part: number, day: Day): void {
    const single = 1 - about.batched
    const { consume, batch, renewLease } = OPERATIONS
    const written = consume.cost.writeUnits * single + (batch.cost.writeUnits / BATCH) * about.batched
    const wanted = often(day.favourite * part)
    const leased = day.leasing > 0 ? (LEASE_RENEWALS_A_MINUTE / 60) * renewLease.cost.writeUnits : 0
    const busiest = Math.max(busiestSecond((wanted * written) / 60), leased)
    watch('account', minute, busiest, 'ACCOUNT# of the busiest customer')
    const favourite = Math.min(wanted, Math.floor((PARTITION_UNITS * 60) / written))
    refused.spends += wanted - favourite
    const units = often(day.units * part) + favourite
    const repeats = often(units * single * about.repeated)
    count('consume', Math.round(units * single) + repeats)
    count('batch', Math.round((units * about.batched) / BATCH))
    count('renewLease', day.leasing * LEASE_RENEWALS_A_MINUTE)
    const users = often(day.users * part)
    count('newDay', users)
    // What was used on a day is counted an hour after its end.
    queues.countUse.add((Math.floor(minute / MINUTES) + 1) * MINUTES + 60, 'countUse', users)
    const renewals = often(day.renewals * part)
    count('crossLow', renewals)
    count('crossRenewal', renewals)
    queues.checkQuotas.add(minute, 'tellLow', renewals)
    queues.renew.add(minute, 'renew', renewals)
  }

  /** People who register, confirm and buy, and others who look at their account. */
  function visit(minute: number, part: number, { isViral, weight }: Day): void {
    const atRate = (perMonth: number) => often(((scale.accounts * perMonth) / 30) * weight * part)
    const { newAccounts } = about.viral
    const rushing = isViral ? scale.accounts * newAccounts * ((rush[minute % MINUTES] ?? 0) / rushTotal) : 0
    const registering = atRate(about.newAccounts) + often(rushing)
    const registered = CREATES === 'register' ? create(minute, registering) : registering
    const confirming = often(registered * about.confirmed)
    const confirmed = CREATES === 'confirm' ? create(minute, confirming) : confirming
    count('register', registered)
    count('confirm', confirmed)
    sendAtOnce(minute, registered)
    queues.publishEvents.add(minute, 'publishNew', confirmed)
    const bought = often(confirmed * payingShare)
    count('buyFirst', bought)
    queues.webhooks.add(minute, 'webhooksOfFirst', bought)
    queues.publishEvents.add(minute, 'publishFirst', bought)
    queues.sendMail.add(minute, 'sendMail', bought)

    const signIns = atRate(about.signIn * about.signInsEach) + confirmed
    for (const name of ['signIn', 'refresh', 'seeUse', 'seeInvoices'] as const) count(name, signIns)
    count('look', signIns * (about.pagesPerSignIn - 2))
    const resets = atRate(about.resets)
    count('askReset', resets)
    count('reset', resets)
    queues.sendMail.add(minute, 'answerReset', resets)
    queues.sendMail.add(minute, 'sendMail', resets)
  }

  /** Sends the mails of requests, and leaves those to the job that SES refuses because they come too fast. */
  function sendAtOnce(minute: number, mails: number): void {
    sentAtOnce = Math.min(mails, settings.mailsPerSecond * 60)
    queues.sendMail.add(minute, 'sendLeftMail', mails - sentAtOnce)
  }

  /** @returns how many of these users Cognito creates now */
  function create(minute: number, wanted: number): number {
    const { creationsPerSecond, creationsWait } = settings
    if (!creationsWait) {
      watch('creations', minute, busiestSecond(wanted / 60), 'AdminCreateUser')
      const created = Math.min(wanted, creationsPerSecond * 60)
      refused.registrations += wanted - created
      return created
    }
    queues.creations.add(minute, CREATES, wanted)
    const served = queues.creations.serve(minute, Number.POSITIVE_INFINITY, creationsPerSecond * 60)
    const created = served[CREATES] ?? 0
    watch('creations', minute, Math.min(busiestSecond(created / 60), creationsPerSecond), 'AdminCreateUser')
    watch('creationWait', minute, queues.creations.waited(minute), 'users')
    return created
  }

  function runJob(
    name: 'sendMail' | 'publishEvents' | 'countUse' | 'checkQuotas',
    minute: number,
    most?: number,
  ) {
    const { width, seconds } = PACES[name]
    const served = queues[name].serve(minute, width * seconds * settings.jobParts, most)
    countAll(served)
    for (const [each, times] of Object.entries(served))
      addPlaces(surge, each as OperationName, times * (60 / seconds - 1))
    if (Object.keys(served).length > 0) {
      count('lookAgain', settings.jobParts)
      if (name === 'publishEvents') count('readEndpoints', settings.jobParts)
    }
    return served
  }

  /** What tasks and jobs renew in this minute. @returns how many renewals were tried at Stripe, and how many paid */
  function renew(minute: number): { tried: number; paid: number } {
    const { paced, stripe } = settings
    const { renew: task, checkQuotas: job } = PACES
    const seconds = task.width * task.seconds + job.width * job.seconds
    // Of Stripe's limit the jobs take what purchases and webhooks leave.
    const room = Math.max(0, stripe.all * 60 - unpacedCalls) / STRIPE_CALLS.renew
    const { renew: tried = 0 } = paced
      ? queues.renew.serve(minute, seconds, Math.min(jobsRate(settings) * 60, room))
      : queues.renew.serve(minute, Number.POSITIVE_INFINITY)
    const paid = Math.min(tried, stripe.endpoint * 60)
    refused.payments += tried - paid
    return { tried, paid }
  }

  /** What tasks, jobs and webhooks do in this minute. */
  function work(minute: number): { tried: number } {
    const { tried, paid } = renew(minute)
    count('renew', paid)
    queues.webhooks.add(minute, 'webhooksOfRenewal', paid)
    queues.publishEvents.add(minute, 'publishRenewal', paid)
    queues.sendMail.add(minute, 'sendMail', paid)
    const payments = paid + done.buyFirst
    count('comparePayment', payments)
    for (const name of ['webhooksOfRefund', 'webhooksOfDispute'] as const) {
      const reversed = often(payments * (name === 'webhooksOfRefund' ? about.refunded : about.disputed))
      queues.webhooks.add(minute, name, reversed)
      queues.publishEvents.add(minute, 'publishRefund', reversed)
      queues.sendMail.add(minute, 'sendMail', reversed)
    }
    const { tellLow = 0 } = runJob('checkQuotas', minute)
    queues.publishEvents.add(minute, 'publishLow', tellLow)
    queues.sendMail.add(minute, 'sendMail', tellLow)
    runJob('publishEvents', minute)
    runJob('sendMail', minute, Math.max(0, settings.mailsPerSecond * 60 - sentAtOnce))
    if (minute % settings.countUseMinutes === 0) runJob('countUse', minute)
    countAll(queues.webhooks.serve(minute, settings.webhooksAtOnce * 60))
    count('idleMinute', 1)
    if (minute % 10 === 0) count('idleSweep', 1)
    return { tried }
  }

  /** Compares what has happened in the minute with all that has a limit. */
  function measure(minute: number, tried: number): void {
    let [requests, writes, calls] = [0, 0, 0]
    for (const name of NAMES) {
      const times = done[name]
      if (times === 0) continue
      const operation: Operation = OPERATIONS[name]
      requests += times * operation.requests
      writes += times * operation.cost.writeUnits
      calls += times * STRIPE_CALLS[name]
      addPlaces(surge, name, times)
      tally[name] += times
    }
    refused.requests += Math.max(0, Math.round(requests - settings.requestsPerSecond * 60))
    watch('requests', minute, busiestSecond(requests / 60), 'requests')
    watch('writes', minute, writes / 60)
    watch('signIns', minute, busiestSecond(done.signIn / 60), 'AdminInitiateAuth')
    // The jobs keep equal distances between their calls.
    const jobCalls = done.renew * STRIPE_CALLS.renew
    unpacedCalls = calls - jobCalls
    const { paced } = settings
    const [steady, any] = paced
      ? [jobCalls, unpacedCalls]
      : [0, calls + (tried - done.renew) * STRIPE_CALLS.renew]
    watch('stripe', minute, steady / 60 + busiestSecond(any / 60), 'all calls')
    const [steadyPayments, anyPayments] = paced ? [tried, done.buyFirst] : [0, tried + done.buyFirst]
    const payments = steadyPayments / 60 + busiestSecond(anyPayments / 60)
    watch('stripeEndpoint', minute, payments, 'POST /v1/payment_intents')
    watchPlaces(watch, minute, surge, settings)
    watch('mailWait', minute, queues.sendMail.waited(minute), 'send-mail')
    watch('eventWait', minute, queues.publishEvents.waited(minute), 'publish-events')
    watch('useWait', minute, queues.countUse.waited(minute), 'count-use')
    watch('renewalWait', minute, queues.renew.waited(minute), 'renew')
    watch('webhookWait', minute, queues.webhooks.waited(minute), 'webhooks-stripe')
  }

  return {
    play(minute: number, day: Day): void {
      const part = partOfDay(minute)
      if (minute % MINUTES === 0)
        watch('accountRenewals', minute, day.favouriteRenewals, 'the busiest customer')
      spend(minute, part, day)
      visit(minute, part, day)
      const { tried } = work(minute)
      measure(minute, tried)
      done = emptyTally()
      surge = {}
    },
    end: (): Month => ({
      ...{ ...watched, scale, tally, refused },
      left: Object.values(queues).reduce((sum, queue) => sum + queue.size(), 0),
      activeUsers: Math.round(scale.accounts * about.signIn) + tally[CREATES],
      accountsAtEnd: scale.accounts + tally.register,
    }),
  }
}
