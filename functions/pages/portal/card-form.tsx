import type { Stripe, StripeElements } from '@stripe/stripe-js'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { countryOptions } from '../kit/countries.ts'
import { type FieldSpec, Form, type Values } from '../kit/form.tsx'
import { language } from '../kit/language.ts'
import { useConfig } from './context.tsx'
import { t } from './messages.ts'
import { stripeOf, tokenOf } from './stripe.ts'

interface CardFormProps {
  submit: string
  done?: string
  /** What is charged or held, in the currency's minor unit. */
  amountCents: number
  /** Whether the amount is held and released, and not charged. */
  holds?: boolean
  currency: string
  /** Whether a billing address is asked for. */
  address?: boolean
  fields?: readonly FieldSpec[]
  children?: ComponentChildren
  onSubmit(paymentMethod: string, values: Values): Promise<unknown>
}

/** A form with Stripe's element for the card, which Bursar never sees. */
export function CardForm({
  submit,
  done,
  amountCents,
  currency,
  holds,
  address,
  fields = [],
  children,
  onSubmit,
}: CardFormProps) {
  const { publishableKey, theme } = useConfig()
  const place = useRef<HTMLDivElement>(null)
  const held = useRef<{ stripe: Stripe; elements: StripeElements }>(undefined)
  const [failed, setFailed] = useState(false)

  useEffect(() => {
    let gone = false
    stripeOf(publishableKey)
      .then((stripe) => {
        if (gone || !place.current) return
        const elements = stripe.elements({
          mode: 'payment',
          amount: amountCents,
          currency: currency.toLowerCase(),
          setupFutureUsage: 'off_session',
          ...(holds && { captureMethod: 'manual' as const }),
          allowedPaymentMethodTypes: ['card'],
          locale: language,
          appearance: appearanceOf(theme.color),
        })
        const element = elements.create('payment', { wallets: { applePay: 'never', googlePay: 'never' } })
        element.mount(place.current)
        held.current = { stripe, elements }
      })
      .catch(() => setFailed(true))
    return () => {
      gone = true
    }
  }, [publishableKey, amountCents, currency, theme.color])

  return (
    <Form
      submit={submit}
      {...(done !== undefined && { done })}
      fields={[...(address ? addressFields() : []), ...fields]}
      onSubmit={async (values) => {
        if (!held.current) throw new Error('Stripe.js is not there.')
        const { stripe, elements } = held.current
        await onSubmit(await tokenOf(stripe, elements), values)
      }}
    >
      <div class="field">
        <span class="label">{t.cards.card}</span>
        {failed ? <p class="error">{t.cards.noStripe}</p> : <div ref={place} class="element" />}
      </div>
      {children}
    </Form>
  )
}

const appearanceOf = (color: string | null) => ({
  theme: matchMedia('(prefers-color-scheme: dark)').matches ? ('night' as const) : ('stripe' as const),
  ...(color && { variables: { colorPrimary: color } }),
})

const addressFields = (): FieldSpec[] => [
  { name: 'company', label: t.address.company, autocomplete: 'organization' },
  { name: 'street', label: t.address.street, autocomplete: 'street-address', required: true },
  { name: 'postCode', label: t.address.postCode, autocomplete: 'postal-code', required: true },
  { name: 'city', label: t.address.city, autocomplete: 'address-level2', required: true },
  { name: 'district', label: t.address.district, autocomplete: 'address-level1' },
  {
    name: 'country',
    label: t.address.country,
    type: 'select',
    autocomplete: 'country',
    required: true,
    options: countryOptions(),
    value: navigator.language.split('-')[1] ?? 'US',
  },
]

/** The billing address of a form's values, without what was left empty. */
export function addressOf({
  company,
  street = '',
  postCode = '',
  city = '',
  district,
  country = '',
}: Values) {
  return { street, postCode, city, country, ...(company && { company }), ...(district && { district }) }
}
