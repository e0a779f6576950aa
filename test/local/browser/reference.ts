/** Opens the API's document in Swagger UI, whose requests go to this stack. */
declare const SwaggerUIBundle: (options: object) => void

SwaggerUIBundle({ url: '/openapi.json', dom_id: '#app', deepLinking: true, persistAuthorization: true })
