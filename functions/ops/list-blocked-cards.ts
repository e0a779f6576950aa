import { listBlockedCards } from '../../core/cards/blocks.ts'
import { blockedCardShape } from '../http/block-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.listBlockedCards, async ({ query, deps }) => {
  const { cards, next } = await listBlockedCards(deps, query.cursor)
  return { cards: cards.map(blockedCardShape), next: next ?? null }
})
