import { ops } from '../routes.ts'
import { type Answer, type Commands, command } from './command.ts'
import { facts, table, timeText } from './text.ts'

type Card = Answer<typeof ops.blockCard>

const why = ({ byOperator, reports }: Card): string =>
  [...(byOperator ? ['operator'] : []), ...reports.map(({ reason }) => reason)].join(', ')

const shown = (card: Card): string =>
  facts({
    card: card.digest,
    blocked: card.blockedAt === null ? 'no' : `since ${timeText(card.blockedAt)}`,
    why: why(card) || undefined,
    owing: card.owing.join(' ') || undefined,
  })

const CARD = {
  fingerprint: 'the fingerprint that the Stripe Dashboard shows',
  account: 'the id of an account that has the card',
  card: 'its card, pm_…',
  digest: 'the card as card list shows it',
  reason: 'why, for the audit log',
}

export const blockCommands = {
  'card list': command(ops.listBlockedCards, {
    summary: 'shows the cards with which no account can buy',
    flags: { cursor: 'next of the page before' },
    show: ({ cards, next }) =>
      cards.length === 0
        ? 'No card is blocked.'
        : table(
            ['CARD', 'SINCE (UTC)', 'WHY', 'ACCOUNTS'],
            cards.map((card) => [
              card.digest,
              timeText(card.blockedAt ?? 0),
              why(card),
              [...new Set(card.reports.map(({ account }) => account))].join(' '),
            ]),
          ) + (next === null ? '' : `\nThere are more: --cursor ${next}`),
  }),
  'card block': command(ops.blockCard, {
    summary: 'blocks a card for every account',
    flags: CARD,
    asks: () => 'Block this card for every account?',
    show: shown,
  }),
  'card unblock': command(ops.unblockCard, {
    summary: 'lets every account buy with a card again',
    flags: CARD,
    asks: () => 'Let every account buy with this card again?',
    show: shown,
  }),
} satisfies Commands
