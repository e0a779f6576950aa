import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'

/** The provider does not know an object that we know of. */
class AbsentObject extends Error {
  override readonly name = 'AbsentObject'
}

/**
 * The error for an absent object that proves nothing, because to the secret key of another account every
 * object is absent. What needs the object is retried.
 */
export const absentObject = (): DomainError =>
  new DomainError('temporarily_unavailable', {
    cause: new AbsentObject('the provider does not know the object'),
  })

export const isAbsentObject = (error: unknown): boolean =>
  error instanceof DomainError && error.cause instanceof AbsentObject

/**
 * An absent object counts as gone only if the customer that it belongs to can be read, or the provider
 * confirms that the customer is deleted.
 * @throws DomainError `temporarily_unavailable` if the customer is absent, too
 */
export async function requireKnownCustomer(deps: Deps<'payments'>, customerId: string): Promise<void> {
  if ((await deps.payments.readCustomer(customerId)) === undefined) throw absentObject()
}

/**
 * Whether a step has failed because the provider has deleted the payment, as it does with test data. Then no
 * money can move by the payment any more.
 * @throws DomainError `temporarily_unavailable` if the payment is absent and that proves nothing
 */
export async function isPaymentDeleted(
  deps: Deps<'payments'>,
  error: unknown,
  { paymentId, customerId }: { paymentId?: string | undefined; customerId: string },
): Promise<boolean> {
  if (!(error instanceof DomainError && error.code === 'not_found') || paymentId === undefined) return false
  await requireKnownCustomer(deps, customerId)
  return (await deps.payments.readPayment(paymentId)) === undefined
}
