import { collectOwedUnits } from '../../core/purchases/collect-owed.ts'
import { expireReservations } from '../../core/quota/expire-reservations.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 50

export const handler = job(jobs.expireReservations, (deps, { untilMs }) =>
  expireReservations(deps, { untilMs, width: WIDTH }, (accountId) => collectOwedUnits(deps, accountId)),
)
