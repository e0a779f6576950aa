import { blockCard } from '../../core/cards/blocks.ts'
import { blockedCardShape } from '../http/block-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.blockCard, async ({ body, deps }) => {
  return blockedCardShape(await blockCard(deps, body.card, body.reason))
})
