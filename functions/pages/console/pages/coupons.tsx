import { useState } from 'preact/hooks'
import { minorUnits, numberText, timeText } from '../../kit/language.ts'
import { Paged } from '../../kit/paged.tsx'
import { type Action, Actions, type Fact, given } from '../action.tsx'
import { type Answer, call, callPage } from '../api.ts'
import { t } from '../messages.ts'
import { centsText } from '../money.ts'
import { Page } from '../page.tsx'
import { Table } from '../table.tsx'

type Coupon = Answer<'stopCoupon'>['coupon']
const c = t.coupons

const givesText = ({ percent, amountCents, currency, units }: Coupon): string =>
  percent !== null
    ? c.percentOff(percent)
    : amountCents !== null && currency !== null
      ? c.amountOff(centsText(amountCents, currency))
      : c.unitsOnTop(units ?? 0)

const stateText = ({ stoppedAt }: Coupon): string =>
  stoppedAt === null ? c.live : c.stopped(timeText(stoppedAt))

const number = (text: string | undefined): number | undefined =>
  given(text) === undefined ? undefined : Number(text)
const midnight = (day: string | undefined): string | undefined => given(day) && `${day}T00:00:00Z`

const add: Action<undefined> = {
  call: 'addCoupon',
  ...c.add,
  fields: () => [
    { name: 'code', label: c.code, hint: c.codeHint, maxlength: 32, autocomplete: 'off' },
    {
      name: 'gives',
      label: c.gives,
      type: 'select',
      value: 'percent',
      options: [
        { value: 'percent', label: c.givesOf.percent },
        { value: 'amount', label: c.givesOf.amount },
        { value: 'units', label: c.givesOf.units },
      ],
    },
    { name: 'value', label: c.value, hint: c.valueHint, type: 'number', min: 0, step: 'any', required: true },
    { name: 'currency', label: c.currency, hint: c.currencyHint, maxlength: 3, autocomplete: 'off' },
    { name: 'limit', label: c.limit, type: 'number', min: 1, step: '1' },
    { name: 'perAccount', label: c.perAccount, hint: c.perAccountHint, type: 'number', min: 1, step: '1' },
    { name: 'from', label: c.from, type: 'date', hint: c.fromHint },
    { name: 'to', label: c.to, type: 'date' },
  ],
  says: (_, { value, gives = 'percent' }) => c.add.says(value ? `${value} ${c.unitOf(gives)}` : undefined),
  async run(_, { gives, value, currency = '', ...values }) {
    const money = currency.trim().toUpperCase()
    const { coupon } = await call('addCoupon', {
      code: given(values.code),
      ...(gives === 'percent' && { percent: Number(value) }),
      ...(gives === 'units' && { units: Number(value) }),
      ...(gives === 'amount' && {
        currency: money,
        amountCents: money.length === 3 ? minorUnits(Number(value), money) : 0,
      }),
      limit: number(values.limit),
      perAccount: number(values.perAccount),
      from: midnight(values.from),
      to: midnight(values.to),
      reason: values.reason ?? '',
    })
    return { text: c.add.done(coupon.code, givesText(coupon)) }
  },
}

const stop: Action<Coupon> = {
  call: 'stopCoupon',
  ...c.stop,
  danger: true,
  says: (coupon) => c.stop.says(coupon.code, coupon.used),
  async run({ code }, { reason = '' }) {
    const { coupon } = await call('stopCoupon', { code, reason })
    return { text: c.stop.done(coupon.code) }
  },
}

const factsOf = (coupon: Coupon): Fact[] => [
  [c.state, stateText(coupon)],
  [c.used, numberText(coupon.used)],
]

export default function Coupons() {
  const [added, setAdded] = useState(0)
  const read = async (cursor?: string) => {
    const { value, cursor: next } = await callPage('listCoupons', { cursor })
    return { items: value.coupons, cursor: next }
  }
  return (
    <Page
      title={t.nav.coupons}
      lead={c.lead}
      aside={<Actions actions={[add]} of={undefined} refresh={async () => setAdded(added + 1)} />}
    >
      <Paged of={[added]} empty={c.empty} read={read}>
        {(items, reload) => (
          <section class="card" aria-label={t.nav.coupons}>
            <Table
              caption={t.nav.coupons}
              items={items}
              keyOf={({ code }) => code}
              columns={[
                { head: c.code, cell: ({ code }) => <code>{code}</code> },
                { head: c.gives, cell: givesText },
                { head: c.used, number: true, cell: ({ used, limit }) => c.usedOf(used, limit) },
                { head: c.perAccount, number: true, cell: ({ perAccount }) => numberText(perAccount) },
                { head: c.to, cell: ({ to }) => (to === null ? c.forEver : timeText(to)) },
                {
                  head: c.state,
                  cell: (coupon) => (
                    <span class={coupon.stoppedAt === null ? 'tag good' : 'tag'}>{stateText(coupon)}</span>
                  ),
                },
                {
                  head: t.account.purchase.act,
                  cell: (coupon) => (
                    <Actions
                      actions={coupon.stoppedAt === null ? [stop] : []}
                      of={coupon}
                      about={coupon.code}
                      factsOf={factsOf}
                      refresh={async () => (await reload()).find(({ code }) => code === coupon.code)}
                    />
                  ),
                },
              ]}
            />
          </section>
        )}
      </Paged>
    </Page>
  )
}
