import { place } from '../http/route.ts'
import { access } from './rows/access.ts'
import { adminKeys } from './rows/admin-keys.ts'
import { audit } from './rows/audit.ts'
import { blocks } from './rows/blocks.ts'
import { eventEndpoints } from './rows/event-endpoints.ts'
import { importing } from './rows/import.ts'
import { money } from './rows/money.ts'
import { operators } from './rows/operators.ts'
import { plans } from './rows/plans.ts'
import { reports } from './rows/reports.ts'
import { services } from './rows/services.ts'

/** The operators' endpoints. Their rows are in `rows/`, by noun. */
export const ops = place('ops', {
  ...access,
  ...operators,
  ...audit,
  ...plans,
  ...services,
  ...adminKeys,
  ...importing,
  ...reports,
  ...money,
  ...blocks,
  ...eventEndpoints,
})
