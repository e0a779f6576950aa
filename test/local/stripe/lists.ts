import type Stripe from 'stripe'
import { invalid, missing } from './errors.ts'
import { findObject, type StripeObject, type StripeState } from './state.ts'

type Listed = StripeObject & { id: string }

interface ListParams {
  limit?: number
  starting_after?: string
  ending_before?: string
  created?: Stripe.RangeQueryParam | number
}

/** A page of a list as Stripe returns it, newest first. `objects` is in the order of creation. */
export function listPage<T extends Listed>(objects: T[], params: ListParams, url: string): Stripe.ApiList<T> {
  const { limit = 10, starting_after: after, ending_before: before } = params
  if (limit < 1 || limit > 100) {
    throw invalid('Limit must be between 1 and 100.', { param: 'limit', code: 'parameter_invalid_integer' })
  }
  if (after !== undefined && before !== undefined) {
    throw invalid('You may only specify one of these parameters: starting_after, ending_before.')
  }
  const all = objects.filter((object) => isCreatedWithin(object, params.created)).reverse()
  const position = (id: string, param: string) => {
    const index = all.findIndex((object) => object.id === id)
    if (index < 0) throw missing('object', id, param)
    return index
  }
  if (before !== undefined) {
    const end = position(before, 'ending_before')
    const start = Math.max(0, end - limit)
    return { object: 'list', data: all.slice(start, end), has_more: start > 0, url }
  }
  const start = after === undefined ? 0 : position(after, 'starting_after') + 1
  return {
    object: 'list',
    data: all.slice(start, start + limit),
    has_more: start + limit < all.length,
    url,
  }
}

function isCreatedWithin(object: object, range: ListParams['created']): boolean {
  const created = 'created' in object ? (object.created as number) : 0
  if (range === undefined) return true
  if (typeof range === 'number') return created === range
  return (
    created > (range.gt ?? -1) &&
    created >= (range.gte ?? 0) &&
    created < (range.lt ?? Number.POSITIVE_INFINITY) &&
    created <= (range.lte ?? Number.POSITIVE_INFINITY)
  )
}

/** A copy of the answer with objects instead of ids at the paths of `expand`. */
export function expanded(state: StripeState, answer: object, paths: string[]): object {
  if (paths.length === 0) return answer
  const copy = structuredClone(answer) as Record<string, unknown>
  for (const path of paths) expandAt(state, copy, path.split('.'), path)
  return copy
}

function expandAt(
  state: StripeState,
  object: Record<string, unknown>,
  [name, ...rest]: string[],
  path: string,
): void {
  if (name === 'data' && Array.isArray(object.data)) {
    for (const item of object.data) expandAt(state, item, rest, path)
    return
  }
  if (name === 'refunds' && object.object === 'charge') object.refunds = refundsOf(state, object.id)
  const value = object[name!]
  if (value === null) return
  const found = typeof value === 'string' ? structuredClone(findObject(state, value)) : value
  if (typeof found !== 'object') {
    throw invalid(`This property cannot be expanded (${path}).`, { param: 'expand' })
  }
  const inner = found
  object[name!] = inner
  if (rest.length > 0) expandAt(state, inner as Record<string, unknown>, rest, path)
}

function refundsOf(state: StripeState, chargeId: unknown): Stripe.ApiList<Stripe.Refund> {
  const refunds = Object.values(state.refunds).filter((refund) => refund.charge === chargeId)
  return listPage(refunds, {}, `/v1/charges/${chargeId}/refunds`)
}
