import { unblockCard } from '../../core/cards/blocks.ts'
import { blockedCardShape } from '../http/block-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.unblockCard, async ({ body, deps }) => {
  return blockedCardShape(await unblockCard(deps, body.card, body.reason))
})
