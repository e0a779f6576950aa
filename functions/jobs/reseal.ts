import { resealAccounts } from '../../core/account/reseal.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 50

export const handler = job(
  jobs.reseal,
  async (deps, { untilMs }) => (await resealAccounts(deps, { untilMs, width: WIDTH })) ?? {},
)
