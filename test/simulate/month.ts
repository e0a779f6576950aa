import { type Assumptions, assumptions as usual } from './assumptions.ts'
import { partOfDay, weightOfDay } from './hours.ts'
import {
  emptyTally,
  OPERATIONS,
  type Operation,
  type OperationName,
  type Places,
  type Tally,
} from './operations.ts'
import { type Cohort, cohortsOf } from './population.ts'
import { openQueue } from './queue.ts'
import { busiestSecond, poisson, type Random, randomOf } from './random.ts'
import { deployed, jobsRate, PACES, type Settings } from './settings.ts'

export interface Scale {
  /** Accounts at the beginning of the month. */
  accounts: number
  days: number
  seed: number
}

/** The highest value of a measure, and in which minute of the month it came. */
export interface Peak {
  value: number
  minute: number
  /** Which of several places it was. */
  place: string
}

/** What is watched. Rates are those of the busiest second; waits are of the oldest item, minutes. */
export type Measure =
  | 'account'
  | 'due'
  | 'listed'
  | 'totals'
  | 'requests'
  | 'creations'
  | 'signIns'
  | 'stripe'
  | 'stripeEndpoint'
  | 'mailWait'
  | 'eventWait'
  | 'useWait'
  | 'renewalWait'
  | 'webhookWait'
  | 'creationWait'
  | 'accountRenewals'

export interface Month {
  scale: Scale
  tally: Tally
  peaks: Record<Measure, Peak>
  /** The highest value of each hour. */
  hours: Record<Measure | 'writes', number[]>
  /** What was refused, because a limit was met. */
  refused: { requests: number; spends: number; registrations: number; payments: number }
  /** What still waits when the month ends. */
  left: number
  /** Users that Cognito counts as active. */
  activeUsers: number
  accountsAtEnd: number
}

/** What one key of the table takes a second; so does one partition of an index. */
export const PARTITION_UNITS = 1_000

/** Requests a second of an account from which on its service takes leases. */
const LEASED_FROM = 50
/** Each of so many processes renews its lease every ten seconds or so. */
const LEASE_PROCESSES = 8
const LEASE_RENEWALS_A_MINUTE = 6

const BATCH = 20
const MINUTES = 1440

/** New accounts of the viral day come closer together than use. */
const rush = Array.from({ length: MINUTES }, (_, minute) => partOfDay(minute) ** 2)
const rushTotal = rush.reduce((a, b) => a + b, 0)

/** What a day brings on average, from its cohorts. */
interface Day {
  /** Units that are spent by requests, of all but the favourite, and the units of the favourite. */
  units: number
  favourite: number
  /** Accounts that lease, all of them together. */
  leasing: number
  /** Accounts that use anything. */
  users: number
  renewals: number
  favouriteRenewals: number
}

function dayOf(cohorts: readonly Cohort[], day: number, settings: Settings, about: Assumptions): Day {
  const isViral = day === about.viral.day
  const result: Day = { units: 0, favourite: 0, leasing: 0, users: 0, renewals: 0, favouriteRenewals: 0 }
  for (const { rank, size, unitsPerMonth, bundleUnits } of cohorts) {
    const favour = isViral ? (rank === 1 ? about.viral.favourite : 1) * about.viral.use : 1
    const units = (unitsPerMonth / 30) * weightOfDay(day) * favour
    result.users += size * (1 - Math.exp(-units))
    if (bundleUnits !== undefined) result.renewals += (size * units) / bundleUnits
    if (rank === 1 && bundleUnits !== undefined) result.favouriteRenewals = units / bundleUnits
    if (settings.leases && units / 86_400 > LEASED_FROM) result.leasing += size
    else if (rank === 1) result.favourite = units
    else result.units += size * units
  }
  return result
}

/** Plays a month, minute by minute. @param tell is told of each day that has begun */
export function playMonth(
  scale: Scale,
  settings: Settings = deployed,
  about: Assumptions = usual,
  tell: (day: number) => void = () => {},
): Month {
  const random = randomOf(scale.seed)
  const active = Math.max(1, Math.round(scale.accounts * about.active))
  const cohorts = cohortsOf(active, scale.accounts * about.unitsPerAccount, about.zipf)
  const paying = cohorts.reduce((sum, { size, bundleUnits }) => sum + (bundleUnits ? size : 0), 0)
  const world = openWorld(scale, settings, about, random, paying / scale.accounts)
  for (let day = 0; day < scale.days; day++) {
    tell(day)
    const expected = dayOf(cohorts, day, settings, about)
    world.watch('accountRenewals', day * MINUTES, expected.favouriteRenewals, 'of one account in a day')
    for (let minute = 0; minute < MINUTES; minute++) world.play(day, day * MINUTES + minute, expected)
  }
  return world.end()
}

function openWorld(
  scale: Scale,
  settings: Settings,
  about: Assumptions,
  random: Random,
  payingShare: number,
) {
  const tally = emptyTally()
  const peaks = {} as Month['peaks']
  const hours = {} as Month['hours']
  const refused = { requests: 0, spends: 0, registrations: 0, payments: 0 }
  const queues = {
    ...{ sendMail: openQueue(), publishEvents: openQueue(), countUse: openQueue(), checkQuotas: openQueue() },
    ...{ renew: openQueue(), webhooks: openQueue(), creations: openQueue() },
  }
  /** Of the minute that is played. */
  let done = emptyTally()
  let surge: Places = {}

  function watch(measure: Measure | 'writes', minute: number, value: number, place = ''): void {
    const hour = Math.floor(minute / 60)
    hours[measure] ??= Array.from({ length: scale.days * 24 }, () => 0)
    const list = hours[measure]
    list[hour] = Math.max(list[hour] ?? 0, value)
    if (measure !== 'writes' && value >= (peaks[measure]?.value ?? 0)) {
      if (value > (peaks[measure]?.value ?? -1)) peaks[measure] = { value, minute, place }
    }
  }

  const count = (name: OperationName, times: number) => {
    done[name] += times
  }
  const often = (mean: number) => poisson(random, mean)

  /** Requests for units, and what they leave to jobs. */
  function spend(minute: number, part: number, day: Day): void {
    const favourite = often(day.favourite * part)
    const perUnit = 1 - about.batched
    const unitsWritten = OPERATIONS.consume.cost.writeUnits * perUnit
    const written = unitsWritten + (OPERATIONS.batch.cost.writeUnits / BATCH) * about.batched
    const perSecond = busiestSecond((favourite * written) / 60)
    watch('account', minute, perSecond, 'ACCOUNT# of the busiest customer')
    const overload = Math.max(0, (favourite * written) / 60 - PARTITION_UNITS)
    refused.spends += Math.round((overload * 60) / written)
    const units = often(day.units * part) + favourite - Math.round((overload * 60) / written)
    const repeats = often(units * perUnit * about.repeated)
    count('consume', Math.round(units * perUnit) + repeats)
    count('batch', Math.round((units * about.batched) / BATCH))
    count('renewLease', day.leasing * LEASE_PROCESSES * LEASE_RENEWALS_A_MINUTE)
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
  function visit(day: number, minute: number, part: number): void {
    const weight = weightOfDay(day)
    const ofDay = minute % MINUTES
    const viral =
      day === about.viral.day
        ? scale.accounts * about.viral.newAccounts * ((rush[ofDay] ?? 0) / rushTotal)
        : 0
    const registering = often(((scale.accounts * about.newAccounts) / 30) * weight * part + viral)
    const creates = CREATES === 'register' ? registering : often(registering * about.confirmed)
    const created = create(minute, creates)
    const registered = CREATES === 'register' ? created : registering
    const confirmed = CREATES === 'register' ? often(created * about.confirmed) : created
    count('register', registered)
    count('confirm', confirmed)
    queues.publishEvents.add(minute, 'publishNew', confirmed)
    const bought = often(confirmed * payingShare)
    count('buyFirst', bought)
    queues.webhooks.add(minute, 'webhooksOfFirst', bought)
    queues.publishEvents.add(minute, 'publishFirst', bought)
    queues.sendMail.add(minute, 'sendMail', bought)

    const signIns =
      often(((scale.accounts * about.signIn * about.signInsEach) / 30) * weight * part) + confirmed
    count('signIn', signIns)
    count('refresh', signIns)
    count('look', Math.round(signIns * (about.pagesPerSignIn - 2)))
    count('seeUse', signIns)
    count('seeInvoices', signIns)
    const resets = often(((scale.accounts * about.resets) / 30) * weight * part)
    count('askReset', resets)
    count('reset', resets)
    queues.sendMail.add(minute, 'answerReset', resets)
    queues.sendMail.add(minute, 'sendMail', resets)
  }

  /** @returns how many of these users Cognito creates now */
  function create(minute: number, wanted: number): number {
    const most = settings.creationsPerSecond * 60
    if (!settings.creationsWait) {
      watch('creations', minute, busiestSecond(wanted / 60), 'AdminCreateUser')
      refused.registrations += Math.max(0, wanted - most)
      return Math.min(wanted, most)
    }
    queues.creations.add(minute, CREATES, wanted)
    const { [CREATES]: created = 0 } = queues.creations.serve(minute, Number.POSITIVE_INFINITY, most)
    watch(
      'creations',
      minute,
      Math.min(busiestSecond(created / 60), settings.creationsPerSecond),
      'AdminCreateUser',
    )
    watch('creationWait', minute, queues.creations.waited(minute), 'users')
    return created
  }

  /** What jobs, tasks and webhooks do in this minute. */
  function work(minute: number): void {
    const parts = settings.jobParts
    const serve = (name: keyof typeof PACES, most?: number) => {
      const { width, seconds } = PACES[name]
      const served = queues[name].serve(minute, width * seconds * parts, most)
      for (const [each, times] of Object.entries(served)) {
        count(each as OperationName, times)
        // A run does in its seconds what others spread over the minute.
        addPlaces(surge, each as OperationName, times * (60 / seconds - 1))
      }
      if (Object.keys(served).length > 0) count('lookAgain', parts)
      return served
    }
    // Tasks are the first, and check-quotas takes what they leave.
    const rate = jobsRate(settings) * 60
    const seconds =
      PACES.renew.width * PACES.renew.seconds + PACES.checkQuotas.width * PACES.checkQuotas.seconds
    const { renew: renewals = 0 } = settings.paced
      ? queues.renew.serve(minute, seconds, rate)
      : queues.renew.serve(minute, Number.POSITIVE_INFINITY)
    const paid = pay(renewals)
    count('renew', paid)
    queues.webhooks.add(minute, 'webhooksOfRenewal', paid)
    queues.publishEvents.add(minute, 'publishRenewal', paid)
    queues.sendMail.add(minute, 'sendMail', paid)
    count('comparePayment', paid + done.buyFirst)
    for (const [name, share] of [
      ['webhooksOfRefund', about.refunded],
      ['webhooksOfDispute', about.disputed],
    ] as const) {
      const reversed = often((paid + done.buyFirst) * share)
      queues.webhooks.add(minute, name, reversed)
      queues.publishEvents.add(minute, 'publishRefund', reversed)
      queues.sendMail.add(minute, 'sendMail', reversed)
    }
    const { tellLow = 0 } = serve('checkQuotas')
    queues.publishEvents.add(minute, 'publishLow', tellLow)
    queues.sendMail.add(minute, 'sendMail', tellLow)
    serve('publishEvents')
    serve('sendMail', settings.mailsPerSecond * PACES.sendMail.seconds)
    if (minute % settings.countUseMinutes === 0) serve('countUse')
    const webhooks = queues.webhooks.serve(minute, settings.webhooksAtOnce * 60)
    for (const [each, times] of Object.entries(webhooks)) count(each as OperationName, times)
    count('idleMinute', 1)
    if (minute % 10 === 0) count('idleSweep', 1)
  }

  /** @returns how many of these payments Stripe accepts in this minute */
  function pay(wanted: number): number {
    const accepted = Math.min(wanted, settings.stripe.endpoint * 60)
    refused.payments += wanted - accepted
    return accepted
  }

  function measure(minute: number, wantedPayments: number): void {
    let [requests, writes, stripe] = [0, 0, 0]
    const places = surge
    for (const name of NAMES) {
      const times = done[name]
      if (times === 0) continue
      const operation: Operation = OPERATIONS[name]
      requests += times * operation.requests
      writes += times * operation.cost.writeUnits
      stripe += times * STRIPE_CALLS[name]
      addPlaces(places, name, times)
      tally[name] += times
    }
    const over = Math.max(0, requests / 60 - settings.requestsPerSecond)
    refused.requests += Math.round(over * 60)
    watch('requests', minute, busiestSecond(requests / 60), 'requests')
    watch('writes', minute, writes / 60)
    watch('signIns', minute, busiestSecond(done.signIn / 60), 'AdminInitiateAuth')
    const callsPaced = settings.paced
      ? Math.min(busiestSecond(stripe / 60), settings.stripe.all)
      : busiestSecond(stripe / 60)
    watch('stripe', minute, callsPaced, 'all calls')
    const endpoint = (wantedPayments + done.buyFirst) / 60
    watch(
      'stripeEndpoint',
      minute,
      settings.paced ? Math.min(endpoint, settings.stripe.endpoint) : busiestSecond(endpoint),
      'POST /v1/payment_intents',
    )
    for (const place in places) {
      const value = (places[place] ?? 0) / 60
      if (place === 'totals') watch('totals', minute, busiestSecond(value / settings.totalsKeys), 'TOTALS')
      else if (place.startsWith('due '))
        watch('due', minute, busiestSecond(value / settings.dueShards), place)
      // Look-ups of keys are in lists of a few each.
      else if (place !== 'listed key')
        watch('listed', minute, busiestSecond(value / settings.listShards), place)
    }
    watch('mailWait', minute, queues.sendMail.waited(minute), 'send-mail')
    watch('eventWait', minute, queues.publishEvents.waited(minute), 'publish-events')
    watch('useWait', minute, queues.countUse.waited(minute), 'count-use')
    watch('renewalWait', minute, queues.renew.waited(minute), 'renew')
    watch('webhookWait', minute, queues.webhooks.waited(minute), 'webhooks-stripe')
    done = emptyTally()
    surge = {}
  }

  return {
    watch,
    play(day: number, minute: number, expected: Day): void {
      const part = partOfDay(minute)
      const refusedBefore = refused.payments
      spend(minute, part, expected)
      visit(day, minute, part)
      work(minute)
      measure(minute, done.renew + refused.payments - refusedBefore)
    },
    end(): Month {
      const created = tally[CREATES]
      const usersBefore = Math.round(scale.accounts * about.signIn)
      const left = Object.values(queues).reduce((sum, queue) => sum + queue.size(), 0)
      return {
        ...{ scale, tally, peaks, hours, refused, left },
        activeUsers: usersBefore + created,
        accountsAtEnd: scale.accounts + tally.register,
      }
    },
  }
}

function addPlaces(places: Places, name: OperationName, times: number): void {
  const { places: units }: Operation = OPERATIONS[name]
  for (const place in units) places[place] = (places[place] ?? 0) + times * (units[place] ?? 0)
}

const NAMES = Object.keys(OPERATIONS) as OperationName[]

const STRIPE_CALLS = Object.fromEntries(
  NAMES.map((name) => {
    const { cost }: Operation = OPERATIONS[name]
    return [name, Object.values(cost.stripe ?? {}).reduce((a, b) => a + b, 0)]
  }),
) as Tally

/** The request that creates the user at Cognito. */
const CREATES: 'register' | 'confirm' =
  'AdminCreateUser' in ((OPERATIONS.register as Operation).cost.cognito ?? {}) ? 'register' : 'confirm'
