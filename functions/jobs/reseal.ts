import { resealAccounts } from '../../core/account/reseal.ts'
import { job } from '../http/job.ts'
import { timeOrNull } from '../http/time-shapes.ts'
import { jobs } from './schedule.ts'

const WIDTH = 50

/** Its line says when the old root secret may go; without a rotation it says nothing of it. */
export const handler = job(jobs.reseal, async (deps, { untilMs }) => {
  const found = await resealAccounts(deps, { untilMs, width: WIDTH })
  if (!found) return {}
  const { oldMayGoMs, ...counts } = found
  return { ...counts, oldSecretMayGo: timeOrNull(oldMayGoMs) }
})
