"""The real clients of OpenStack through Gatehouse, in front of the real Nova, with the catalog leading there."""

def test_the_links_of_a_list_lead_back_to_gatehouse(cloud, through):
    alice = cloud.compute("alice", url=through.gateway.url)
    page = alice.get("/servers?limit=2")
    assert len(page["servers"]) == 2
    for link in [link for server in page["servers"] for link in server["links"]] + page["servers_links"]:
        assert link["href"].startswith(through.gateway.url + "/"), link
