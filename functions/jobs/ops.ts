import { carryOut } from '../../core/keys/service-commands.ts'
import { job } from '../http/job.ts'
import { tasks } from './schedule.ts'

/** Only whoever started the run sees a new credential. The log says what was done, and to which service. */
export const handler = job(
  tasks.ops,
  (deps, { event }) => carryOut(deps, event),
  ({ done, refused, service }) => ({ done, refused, service: service?.name }),
)
