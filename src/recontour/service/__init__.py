"""A site: contour what arrives, let people correct and approve it, and learn from that.

    scanner -> node -> rules -> worker -> drafts -> page -> approved -> node -> planning system
                                                                  \\-> loop -> a better model

settings    SITE.toml
addresses   IP addresses, as sockets and settings write them
rules       which rule takes a series
folder      where a site keeps what
store       what it knows beside the files: the tables of its database
jobs        the queue
audit       who did what
accounts    who may log in
roles       what they may do
watch       sees when a series is complete, and what becomes of it
courier     sends what there is to send
node/       what other machines send, and what is sent to them
worker      contours what a rule took
child       how the processes of a site begin and end
serve       start them, start again what dies, end them
check       what serving would do, without doing it
retention   delete a patient's data
health      how a site fares, for people and for Prometheus
review      strokes on a draft's contours, and their approval
page        what people see and do in a browser
loop        what people corrected -> a better model
findings    what can be found at a site

This room needs the packages of recontour[site].
"""
