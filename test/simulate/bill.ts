import { tableDefinition } from '../../core/table/definition.ts'
import type { Alarm } from '../../functions/deploy/alarm.ts'
import { alarmsOf } from '../../functions/deploy/alarms.ts'
import { attackLines } from '../../functions/deploy/attack.ts'
import { businessLines } from '../../functions/deploy/business.ts'
import { KEPT_BYTES, LOG_BYTES, LOGS_KEPT_MONTHS, MEMORY_GB } from './assumptions.ts'
import type { Month } from './month.ts'
import { OPERATIONS, type Operation, type OperationName, totalOf } from './operations.ts'
import type { Prices } from './prices.ts'

/** Dollars a month by service. */
export type Bill = Record<string, number>

const MILLION = 1_000_000
const GB = 1_000_000_000
/** From here on a request at the gateway costs less. */
const FIRST_REQUESTS = 300 * MILLION

const sum = (of: Record<string, number> = {}): number => Object.values(of).reduce((a, b) => a + b, 0)

/** Those of the table, of the seeds of second factors, and of the settings of functions. */
const KMS_KEYS = 3

/** How many metrics an alarm reads: it costs that many times the price. The table's indexes have metrics of their own. */
const metricsOf = ({ metric: { of, names } }: Alarm): number =>
  names.length * (of === 'table' ? 1 + Object.keys(tableDefinition.indexes).length : 1)

/** The metrics that log lines of every month make. The others count failures, and one without data costs nothing. */
const counted = new Set([...attackLines, ...businessLines].map(({ metric }) => metric)).size

/** What a month costs. */
export function billOf(month: Month, prices: Prices): Bill {
  const { tally, activeUsers, scale, accountsAtEnd } = month
  const { requests, writeUnits, readUnits, mail, events, kms } = totalOf(tally)
  let [seconds, runs] = [0, 0]
  for (const [name, count] of Object.entries(tally)) {
    const operation: Operation = OPERATIONS[name as OperationName]
    seconds += count * operation.seconds
    runs += count * (operation.requests + operation.runs)
  }
  const accounts = (scale.accounts + accountsAtEnd) / 2
  const kept = KEPT_BYTES
  const bytes =
    accounts * kept.account +
    tally.buyFirst * kept.firstPayment +
    tally.renew * kept.renewal +
    tally.newDay * kept.dayOfUse +
    tally.consume * kept.consume
  const storedGb = bytes / GB
  const logsGb = (requests * LOG_BYTES) / GB
  const [first, further] = prices.httpApi
  return {
    'DynamoDB writes': (writeUnits / MILLION) * prices.writeUnits,
    'DynamoDB reads': (readUnits / MILLION) * prices.readUnits,
    'DynamoDB storage and recovery': storedGb * (prices.storedGb + prices.recoveryGb),
    Lambda: (runs / MILLION) * prices.lambdaRuns + seconds * MEMORY_GB * prices.lambdaGbSeconds,
    'API Gateway':
      (Math.min(requests, FIRST_REQUESTS) * first + Math.max(0, requests - FIRST_REQUESTS) * further) /
      MILLION,
    Cognito: Math.max(0, activeUsers - prices.freeUsers) * prices.cognitoUser,
    Mail: sum(mail) * prices.mail,
    Logs: logsGb * (prices.logsGb + LOGS_KEPT_MONTHS * prices.logsKeptGb),
    Events: (sum(events) / MILLION) * prices.events,
    'Keys, alarms and metrics':
      KMS_KEYS * prices.kmsKey +
      (sum(kms) / 10_000) * prices.kmsCalls +
      alarmsOf('x', 'x').reduce((total, alarm) => total + metricsOf(alarm), 0) * prices.alarm +
      Math.max(0, counted - prices.freeMetrics) * prices.metric,
  }
}

export const totalOfBill = (bill: Bill): number => sum(bill)
