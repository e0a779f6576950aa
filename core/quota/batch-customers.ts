import { DomainError } from '../errors.ts'
import { type BatchRequest, consumeBatch } from './batch.ts'
import type { BatchAnswer } from './batch-group.ts'
import type { NamedAccount, QuotaDeps, SentKey, Spender } from './key-caller.ts'

/** A request of a batch, and whose units it is about. */
export interface CustomerRequest extends BatchRequest {
  customer: SentKey | NamedAccount
}

/** What became of a request: an answer, or why all requests for its customer failed. */
export type CustomerAnswer = (BatchAnswer & Spender) | DomainError

/** Number of customers whose requests are worked on at once. */
const CUSTOMERS_AT_ONCE = 16

/**
 * Spends units for many customers. The requests for one customer from one network address are a batch of their own: exact
 * by itself, with the cost of `consumeBatch`, and whatever fails for one customer fails for them alone. Batches of one
 * customer run one after the other, because they would only make each other's writes fail.
 * @returns the answers in the order of the requests
 */
export async function consumeForCustomers(
  deps: QuotaDeps,
  requests: readonly CustomerRequest[],
): Promise<CustomerAnswer[]> {
  const customers = Map.groupBy(requests.keys(), (at) => customerId(requests[at]?.customer))
  const answers: CustomerAnswer[] = []
  const waiting = [...customers.values()]
  const work = async () => {
    for (let all = waiting.shift(); all; all = waiting.shift()) {
      for (const places of Map.groupBy(all, (at) => requests[at]?.customer.ip).values()) {
        const part = await consumePart(deps, requests, places)
        for (const [nth, at] of places.entries())
          answers[at] = part instanceof DomainError ? part : (part[nth] as CustomerAnswer)
      }
    }
  }
  await Promise.all(Array.from({ length: CUSTOMERS_AT_ONCE }, work))
  return answers
}

/** The same for the same key or account. */
const customerId = (customer: CustomerRequest['customer'] | undefined): string =>
  customer && 'accountId' in customer ? `account ${customer.accountId}` : `key ${customer?.text}`

/** The requests of one customer from one address. @param places where they are among all requests */
async function consumePart(
  deps: QuotaDeps,
  all: readonly CustomerRequest[],
  places: readonly number[],
): Promise<CustomerAnswer[] | DomainError> {
  const requests = places.flatMap((at) => all[at] ?? [])
  const [first] = requests
  if (!first) return []
  try {
    const { answers, ...spender } = await consumeBatch(deps, first.customer, requests)
    return answers.map((answer) => ({ ...answer, ...spender }))
  } catch (error) {
    const failure = error instanceof DomainError ? error : new DomainError('internal_error', { cause: error })
    // The answer of the whole batch is a success, so its line does not tell.
    if (failure.code === 'internal_error' || failure.code === 'temporarily_unavailable')
      deps.log.error('the requests of a batch for one customer failed', failure)
    return failure
  }
}
